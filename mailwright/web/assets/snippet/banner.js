// A small question for consent: two buttons of one look, reached by keyboard, in whatever words the shop gives.
//
//     banner: {text: "...", yes: "Accept", no: "Decline", link: "/privacy", about: "Privacy notice", wording: "2026-1"}

const { mailwright, document: d } = window;
const given = mailwright.parts.banner;
const told = typeof given == "string" ? { text: given } : given;

const add = (parent, tag, properties, style) => {
  const element = Object.assign(d.createElement(tag), properties);
  Object.assign(element.style, style); // by script, so that a policy against inline style does not forbid it
  parent.append(element);
  return element;
};

const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const colours = dark ? { background: "#14161f", color: "#f2f3f7" } : { background: "#fff", color: "#191b24" };
const box = add(
  d.body,
  "section",
  { id: "mailwright-consent" },
  {
    ...colours,
    position: "fixed",
    insetInline: "1rem",
    bottom: "1rem",
    zIndex: 2147483000,
    maxWidth: "36rem",
    marginInline: "auto",
    padding: "1rem",
    border: "1px solid #8a8fa3",
    borderRadius: ".5rem",
    font: "1rem/1.45 system-ui, sans-serif",
    boxShadow: "0 .5rem 2rem #0005",
  },
);
box.setAttribute("aria-label", told.title || "Consent");
add(box, "p", { textContent: told.text }, { margin: "0 0 .75rem" });
if (told.link) add(box, "a", { href: told.link, textContent: told.about || told.link }, { color: "inherit", marginInlineEnd: "1rem" });
for (const [agreed, label] of [
  [true, told.yes || "Accept"],
  [false, told.no || "Decline"],
]) {
  const button = add(
    box,
    "button",
    { type: "button", textContent: label },
    {
      ...colours,
      font: "inherit",
      padding: ".5rem 1.25rem",
      marginInlineEnd: ".5rem",
      minHeight: "2.75rem",
      border: "2px solid currentColor",
      borderRadius: ".375rem",
      cursor: "pointer",
    },
  );
  button.onclick = () => {
    const purposes = Object.fromEntries((told.purposes || ["analytics", "marketing"]).map((name) => [name, agreed]));
    mailwright.consent(purposes, { wording: told.wording || told.text, source: "banner" });
  };
}
mailwright.onConsent(() => box.remove()); // also when the shop's own page asked meanwhile
