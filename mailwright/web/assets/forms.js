// Puts a form of Mailwright into any page, and helps on the hosted one: checks answers as they are typed.
//   <script src="https://mail.my-shop.example/forms.js" data-form="newsletter" async></script>
// No cookies. What this browser answered (never the answers) is kept under one key once a form was sent.
const KEY = "mailwright.forms";
const WAIT_MS = 350;

const STYLE = `
:host { display: block; font: 400 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: inherit; }
*, ::before, ::after { box-sizing: border-box; }
form { display: grid; gap: 16px; max-width: 520px; }
h2 { margin: 0 0 4px; font-size: 1.3em; } p { margin: 0; }
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
label, legend { padding: 0; } .ask > label:not(.ask-option), legend { display: block; margin-bottom: 5px; font-weight: 600; }
small, .ask-help { opacity: .75; font-size: .88em; font-weight: 400; }
input:not([type="checkbox"], [type="radio"]), select { width: 100%; padding: 10px 12px; border: 1px solid #8a90a6; border-radius: 8px; font: inherit; font-size: 16px; background: Field; color: FieldText; }
[aria-invalid="true"] { border-color: #b3261e !important; }
.ask-note { font-size: .88em; margin-top: 3px; } .ask-note::first-letter { text-transform: uppercase; } .ask-note.wrong, .ask-faults { color: #b3261e; }
.ask-note button { border: 0; background: none; padding: 0; font: inherit; color: inherit; text-decoration: underline; cursor: pointer; }
.ask-options { display: grid; gap: 8px; } .ask-rating .ask-options { grid-template-columns: repeat(auto-fill, minmax(46px, 1fr)); }
.ask-option { display: flex; gap: 9px; align-items: flex-start; min-height: 24px; }
.ask-option input { flex: none; width: 18px; height: 18px; margin: 2px 0 0; }
.ask-trap { position: absolute; left: -9999px; width: 1px; height: 1px; overflow: hidden; }
button[type="submit"] { justify-self: start; min-height: 44px; padding: 10px 22px; border: 0; border-radius: 8px; font: inherit; font-weight: 600; background: #4250d0; color: #fff; cursor: pointer; }
:focus-visible { outline: 2px solid #4250d0; outline-offset: 2px; }
@media (prefers-color-scheme: dark) { .ask-note.wrong, .ask-faults { color: #ff9a9f; } }
`;

// Whether this browser may be known again and looking be counted: what the page's snippet says, which asks for consent;
// without one, unless the browser itself says no. What somebody sends is sent in any case, under no id then.
function mayCount() {
  const { mailwright } = window;
  if (mailwright?.may) return mailwright.may();
  const comes = mailwright ? !mailwright.user : snippet();
  return !comes && !navigator.globalPrivacyControl;
}

const snippet = () => document.querySelector('script[src*="/snippet.js"]');

// Called when that may have changed: the snippet has come, or somebody chose.
function onChoice(then) {
  const { mailwright } = window;
  if (typeof mailwright !== "function") snippet()?.addEventListener("load", () => onChoice(then), { once: true });
  else for (const call of ["ready", "onConsent"]) mailwright(call, then);
}

function remembered() {
  try {
    return (mayCount() && localStorage.getItem(KEY)) || "";
  } catch {
    return "";
  }
}

function remember(visitor) {
  try {
    if (visitor && mayCount()) localStorage.setItem(KEY, visitor);
  } catch {
    // A browser that keeps nothing is asked the same again.
  }
}

// The id of our snippet, if the page has it and was allowed to make one.
function anonymousId() {
  try {
    const id = mayCount() && window.mailwright.user().anonymousId();
    return typeof id === "string" ? id : "";
  } catch {
    return "";
  }
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

async function call(base, path, body) {
  const options = body
    ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), credentials: "omit" }
    : { credentials: "omit" };
  const answer = await fetch(base + path, options);
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  return { status: answer.status, told };
}

function query(link, lang) {
  const asked = new URLSearchParams({ visitor: remembered(), anonymous: anonymousId(), link, lang });
  for (const [key, value] of [...asked]) if (!value) asked.delete(key);
  const text = asked.toString();
  return text ? `?${text}` : "";
}

const TYPES = { email: "email", date: "date", phone: "tel" };
const COMPLETE = { email: "email", phone: "tel", postal_code: "postal-code", city: "address-level2", country: "country" };
const NAMES = { firstName: "given-name", lastName: "family-name" };

const BEHIND = { country: ["postal_code", "phone", "city"], postal_code: ["city"] };
let texts = {};

function described(field, id) {
  return `${id}-note${field.help ? ` ${id}-help` : ""}`;
}

function control(field, id) {
  const name = `field.${field.trait}`;
  const about = { "aria-describedby": described(field, id), required: field.required };
  if (["choice", "choices", "rating"].includes(field.type)) {
    const type = field.type === "choices" ? "checkbox" : "radio";
    const options = field.options.map((one) =>
      element(
        "label",
        { class: "ask-option" },
        element("input", { type, name, value: one.value, required: field.required && type === "radio" }),
        element("span", {}, one.label),
      ),
    );
    return element("div", { class: "ask-options" }, ...options);
  }
  if (field.type === "country") {
    const options = field.options.map((one) => element("option", { value: one.value }, one.label));
    return element("select", { id, name, autocomplete: "country", ...about }, element("option", { value: "" }), ...options);
  }
  return element("input", {
    id,
    name,
    type: TYPES[field.type] || "text",
    maxlength: field.max_chars,
    inputmode: field.type === "number" ? "decimal" : null,
    autocomplete: COMPLETE[field.type] || NAMES[field.trait] || "off",
    min: field.type === "date" ? field.low : null,
    max: field.type === "date" ? field.high : null,
    ...about,
  });
}

function question(field) {
  const id = `field-${field.trait}`;
  const group = ["choice", "choices", "rating"].includes(field.type);
  const optional = field.required ? null : element("small", {}, ` ${texts.optional}`);
  const label = group ? element("legend", {}, field.label, optional) : element("label", { for: id }, field.label, optional);
  const help = field.help ? element("p", { class: "ask-help", id: `${id}-help` }, field.help) : null;
  const note = element("p", { class: "ask-note", id: `${id}-note`, "aria-live": "polite" });
  const about = { class: `ask ask-${field.type}`, "data-field": field.trait, "aria-describedby": group ? described(field, id) : null };
  return element(group ? "fieldset" : "div", about, label, help, control(field, id), note);
}

function box(one, place) {
  const input = element("input", {
    type: "checkbox",
    name: "purpose",
    value: one.purpose,
    required: one.required,
    "aria-describedby": `box-${place}-note`,
  });
  const note = element("p", { class: "ask-note", id: `box-${place}-note` });
  const label = element("label", { class: "ask-option" }, input, element("span", {}, one.wording));
  return element("div", { class: "ask ask-box", "data-field": `purpose:${one.purpose}` }, label, note);
}

function drawn(told) {
  const trap = element("input", { name: "website", tabindex: "-1", autocomplete: "off" });
  const hidden = element("div", { class: "ask-trap", "aria-hidden": "true" }, element("label", {}, `${texts.leave_empty} `, trap));
  const policy = told.policy_url
    ? element("p", { class: "ask-help" }, element("a", { href: told.policy_url, rel: "noopener" }, texts.privacy))
    : null;
  return element(
    "form",
    { class: "asking", lang: told.language },
    element("input", { type: "hidden", name: "issued", value: told.issued }),
    hidden,
    ...told.fields.map(question),
    ...told.purposes.map(box),
    element("button", { type: "submit", class: "primary" }, told.button),
    policy,
  );
}

class Form {
  constructor(base, name, form, link) {
    Object.assign(this, { base, name, form, link, timers: new Map(), asked: new Map(), untold: new Set() });
    form.noValidate = true;
    form.addEventListener("input", (event) => this.typed(event));
    form.addEventListener("focusout", (event) => this.left(event));
    form.addEventListener("submit", (event) => this.send(event));
    this.count("seen");
    onChoice(() => this.tell());
  }

  get path() {
    return `/v1/forms/${encodeURIComponent(this.name)}`;
  }

  count(event) {
    this.untold.add(event);
    this.tell();
  }

  tell() {
    if (!mayCount()) return;
    const issued = this.form.elements.namedItem("issued").value;
    for (const event of this.untold) {
      call(this.base, `${this.path}/event`, { event, issued, anonymous: anonymousId() }).catch(() => {});
    }
    this.untold.clear();
  }

  answers() {
    const found = {};
    for (const holder of this.form.querySelectorAll("[data-field]")) {
      const trait = holder.dataset.field;
      if (trait.startsWith("purpose:")) continue;
      const inputs = [...holder.querySelectorAll("input, select")];
      if (inputs[0] && inputs[0].type === "checkbox") found[trait] = inputs.filter((one) => one.checked).map((one) => one.value);
      else if (inputs[0] && inputs[0].type === "radio") found[trait] = (inputs.find((one) => one.checked) || { value: "" }).value;
      else if (inputs[0]) found[trait] = inputs[0].value;
    }
    return found;
  }

  holder(trait) {
    return this.form.querySelector(`[data-field="${CSS.escape(trait)}"]`);
  }

  typed(event) {
    if (!this.started) {
      this.started = true;
      this.count("started");
    }
    const holder = event.target.closest("[data-field]");
    if (!holder || holder.dataset.field.startsWith("purpose:")) return;
    clearTimeout(this.timers.get(holder));
    // Nobody is told that a word is wrong while it is half written: only what was marked is looked at on every key.
    const marked = event.target.getAttribute("aria-invalid") === "true" || event.target.type !== "text";
    if (marked && event.target.type !== "email") this.timers.set(holder, setTimeout(() => this.check(holder), WAIT_MS));
    else this.timers.set(holder, setTimeout(() => this.check(holder), 3 * WAIT_MS));
  }

  left(event) {
    const holder = event.target.closest("[data-field]");
    if (!holder || holder.dataset.field.startsWith("purpose:") || !event.target.value) return;
    clearTimeout(this.timers.get(holder));
    this.check(holder);
  }

  async check(holder) {
    const trait = holder.dataset.field;
    const answers = this.answers();
    const value = answers[trait];
    if (this.asked.get(trait) === JSON.stringify(value)) return;
    this.asked.set(trait, JSON.stringify(value));
    this.checkBehind(holder);
    if (!value || value.length === 0) return this.mark(holder, "", "");
    const { status, told } = await call(this.base, `${this.path}/check`, { trait, value, answers, language: this.form.lang }).catch(() => ({}));
    if (status !== 200 || JSON.stringify(this.answers()[trait]) !== JSON.stringify(value)) return;
    this.mark(holder, told.fault, told.suggestion, told.warning);
  }

  // Answers that are checked by this one: they may be right or wrong by now.
  checkBehind(holder) {
    const [, types] = Object.entries(BEHIND).find(([type]) => holder.classList.contains(`ask-${type}`)) || [null, []];
    for (const type of types) {
      for (const other of this.form.querySelectorAll(`.ask-${type}`)) {
        if (this.asked.delete(other.dataset.field)) this.check(other);
      }
    }
  }

  mark(holder, fault, suggestion, warning = "") {
    const note = holder.querySelector(".ask-note");
    note.classList.toggle("wrong", Boolean(fault));
    note.replaceChildren(fault || warning || "");
    for (const input of holder.querySelectorAll("input, select")) {
      if (fault) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    if (!suggestion) return;
    const meant = element("button", { type: "button" }, suggestion);
    meant.addEventListener("click", () => {
      const input = holder.querySelector("input");
      input.value = suggestion;
      input.focus();
      this.check(holder);
    });
    const [before, behind] = texts.did_you_mean.split("{suggestion}");
    note.append(note.textContent ? `. ${before}` : before, meant, behind || "");
  }

  async send(event) {
    event.preventDefault();
    if (this.sending) return;
    this.sending = true;
    const data = new FormData(this.form);
    const body = {
      issued: String(data.get("issued") || ""),
      answers: this.answers(),
      purposes: data.getAll("purpose").map(String),
      trap: String(data.get("website") || ""),
      visitor: remembered(),
      anonymous: anonymousId(),
      link: this.link,
      page: location.href,
    };
    try {
      const { status, told } = await call(this.base, this.path, body);
      if (status === 200) this.done(told);
      else this.refused(told);
    } catch {
      this.refused({ faults: { "": texts.not_through } });
    } finally {
      this.sending = false;
    }
  }

  refused(told) {
    const faults = told.faults || { "": (told.error && told.error.message) || texts.not_taken };
    for (const holder of this.form.querySelectorAll("[data-field]")) {
      this.mark(holder, faults[holder.dataset.field] || "", (told.suggestions || {})[holder.dataset.field] || "");
    }
    this.form.querySelector(".ask-faults")?.remove();
    const text = faults[""] || texts.look_below;
    this.form.prepend(element("div", { class: "ask-faults", role: "alert", tabindex: "-1" }, element("p", {}, text)));
    const wrong = this.form.querySelector("[aria-invalid='true']") || this.form.querySelector(".ask-faults");
    wrong.focus();
  }

  done(told) {
    remember(told.visitor);
    const text = element("p", { role: "status", tabindex: "-1" }, told.text);
    this.form.replaceWith(text);
    text.focus();
    if (told.redirect) location.assign(told.redirect);
  }
}

async function embed(script) {
  const name = script.dataset.form;
  const base = new URL(script.src).origin;
  const link = script.dataset.link || "";
  const lang = script.dataset.lang || "";
  const { status, told } = await call(base, `/v1/forms/${encodeURIComponent(name)}${query(link, lang)}`).catch(() => ({}));
  if (status !== 200) {
    console.warn(`Mailwright: form ${name} cannot be shown (${status || "no answer"})`);
    return;
  }
  texts = told.texts;
  const host = element("div", { "data-mailwright": name, lang: told.language });
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  const form = drawn(told);
  root.append(element("h2", {}, told.title), ...(told.intro ? [element("p", {}, told.intro)] : []), form);
  const place = script.dataset.into && document.querySelector(script.dataset.into);
  if (place) place.append(host);
  else script.after(host);
  new Form(base, name, form, link);
}

// The hosted page stands already; only a browser that was here before gets other questions.
async function help(form) {
  const name = form.dataset.mailwrightForm;
  texts = JSON.parse(form.dataset.texts);
  const link = form.dataset.link || "";
  if ((remembered() || anonymousId()) && !link && !form.querySelector(".ask-faults")) {
    const { status, told } = await call("", `/v1/forms/${encodeURIComponent(name)}${query(link, form.lang)}`).catch(() => ({}));
    if (status === 200) {
      const before = form.querySelector("[data-fields]");
      const typed = new FormData(form);
      before.replaceChildren(...told.fields.map(question), ...told.purposes.map(box));
      for (const input of before.querySelectorAll("input:not([type=checkbox], [type=radio])")) {
        input.value = typed.get(input.name) || "";
      }
      form.elements.namedItem("issued").value = told.issued;
    }
  }
  new Form("", name, form, link);
  form.dataset.ready = "true";
}

const own = document.currentScript;
if (own && own.dataset.form) embed(own);
for (const form of document.querySelectorAll("form[data-mailwright-form]")) help(form);
