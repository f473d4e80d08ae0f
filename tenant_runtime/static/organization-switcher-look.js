/* What <keystead-organization-switcher> says unless it is told otherwise, and how it looks. */

export const TEXTS = {
  label: "Organization",
  none: "No organization",
  create: "Create an organization…",
  creating: "New organization",
  invitations: "Invitations",
  invitation: "Invitation to {name}",
  name: "Name",
  address: "Short name",
  addressHint: "Small letters, digits and hyphens",
  accept: "Accept",
  decline: "Decline",
  cancel: "Cancel",
  created: "Create",
  failed: "That did not work.",
  invited: "You are invited to {name}.",
};

export const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
:host { display: inline-block; position: relative; font: inherit; min-width: 0; max-width: 100%;
  --_text: var(--keystead-text, light-dark(#1b1f24, #f2f4f7));
  --_surface: var(--keystead-surface, light-dark(#fff, #1d2127));
  --_line: var(--keystead-line, light-dark(#868d98, #7d8590));
  --_accent: var(--keystead-accent, light-dark(#3538cd, #a4a6ff));
  --_problem: var(--keystead-problem, light-dark(#b3261e, #ff9d94)); }
:host([hidden]), [hidden] { display: none; }
button { font: inherit; color: var(--_text); background: var(--_surface); border: 1px solid var(--_line);
  border-radius: 8px; padding: .55rem .8rem; min-height: 44px; cursor: pointer; }
button:focus-visible, [role^=menuitem]:focus-visible, input:focus-visible { outline: 3px solid var(--_accent);
  outline-offset: 2px; }
#opener { display: flex; gap: .6rem; align-items: center; max-width: min(20rem, 100%); }
#opener span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#opener::after { content: "▾"; content: "▾" / ""; margin-inline-start: auto; }
#opener[aria-busy=true] { cursor: progress; }
#opener[aria-busy=true] span { opacity: .7; }
#opener[aria-disabled=true] { cursor: default; }
#opener[aria-disabled=true]::after { content: none; }
#menu { position: absolute; z-index: 10; inset-inline-start: 0; top: calc(100% + .3rem); box-sizing: border-box;
  min-width: 100%; width: max-content; max-width: min(24rem, 90vw); max-height: 60vh; overflow: auto;
  background: var(--_surface); color: var(--_text); border: 1px solid var(--_line); border-radius: 10px; padding: .3rem;
  box-shadow: 0 8px 24px rgb(0 0 0 / .18); }
#menu.above { top: auto; bottom: calc(100% + .3rem); }
[role=group] + [role=group] { border-top: 1px solid var(--_line); margin-top: .3rem; padding-top: .3rem; }
[role^=menuitem] { display: flex; gap: .6rem; align-items: center; min-height: 44px; padding: 0 .7rem; border-radius: 7px;
  cursor: pointer; overflow-wrap: anywhere; }
[role^=menuitem]:hover, [role^=menuitem]:focus { background: color-mix(in srgb, var(--_accent) 14%, transparent); }
[role^=menuitem]:focus-visible { outline-offset: -3px; }
[aria-checked=true]::after { content: "✓"; content: "✓" / ""; margin-inline-start: auto; color: var(--_accent); }
.heading { padding: .4rem .7rem; font-size: .85em; opacity: .8; }
dialog { font: inherit; color: var(--_text); background: var(--_surface); border: 1px solid var(--_line);
  border-radius: 12px; padding: 1.2rem; width: min(24rem, 90vw); box-sizing: border-box; }
dialog::backdrop { background: rgb(0 0 0 / .4); }
h2 { font-size: 1.15em; margin: 0 0 1rem; overflow-wrap: anywhere; }
label { display: block; margin-bottom: .8rem; }
input { font: inherit; display: block; width: 100%; box-sizing: border-box; min-height: 44px; padding: .4rem .6rem;
  margin-top: .2rem; color: inherit; background: transparent; border: 1px solid var(--_line); border-radius: 7px; }
small { display: block; margin-top: .2rem; opacity: .8; }
.actions { display: flex; flex-wrap: wrap; gap: .5rem; }
form[aria-busy=true] [value=yes] { cursor: progress; opacity: .7; }
.actions [value=yes] { background: var(--_accent); border-color: var(--_accent); color: var(--_surface); }
[role=alert]:empty { display: none; }
[role=alert] { margin: .5rem 0; color: var(--_problem); overflow-wrap: anywhere; }
[part=problem] { width: 0; min-width: 100%; } /* as wide as the button, however much it says */
@media (forced-colors: active) { [role^=menuitem]:focus { outline: 2px solid Highlight; } }
`);
