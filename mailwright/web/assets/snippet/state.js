// What the snippet knows: its options, the person's choice, who this is. Nothing is stored before it may be.

export const w = window;
export const d = document;

/** Options of the install line; `data-` attributes of the script's own tag are the same words as text. */
export const options = { consent: "required", layer: "dataLayer", page: true, spa: true, gpc: true };

export const is = (name) => /true/.test(options[name]);

export const on = (name, does, target = d) => target.addEventListener(name, does, true);

/** 128 random bits; `crypto.randomUUID` is for https alone. */
export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte + 256).toString(16).slice(1)).join("");

const safely = (does) => {
  try {
    return does();
  } catch {} // storage may be full, forbidden or absent
};
export const lists = () => safely(() => Object.keys(localStorage).filter((name) => /^mw.q/.test(name))) || [];
export const get = (name) => safely(() => JSON.parse(localStorage[name]));
export const put = (name, value) =>
  safely(() => (value ? (localStorage[name] = JSON.stringify(value)) : localStorage.removeItem(name)));

/** The person's choice: `{analytics: true, marketing: false}`; undefined before they chose. */
export let choice;
export let wording;

/** Whether the browser itself says no: Global Privacy Control, and Do Not Track where the shop heeds it. */
export let signal;

export function readChoice() {
  signal = (is("gpc") && navigator.globalPrivacyControl) || (is("dnt") && navigator.doNotTrack == 1);
  [choice, wording] = get("mw.c") || [];
}

export function choose(given, words) {
  choice = given;
  wording = words ?? wording;
  put("mw.c", [choice, wording]);
}

const unless = (otherwise) => choice?.analytics ?? (!signal && otherwise);

/** Whether ids and events may be stored. */
export const mayStore = () => unless(options.consent == "implied");

/** Whether events may be sent: also without storage, under an id that lives as long as the page. */
export const maySend = () => unless(options.consent != "required");

/** Whether events are made at all; those that may not be sent wait in memory for a choice. */
export const mayCollect = () => unless(true);

let ids;

/** [anonymous id, user id or empty]. */
export const me = () => (ids ||= (mayStore() && get("mw.i")) || [newId(), ""]);

/** Keep the ids, where that is allowed. */
export const keepMe = () => mayStore() && put("mw.i", me());

/** A new user id on the same browser is another person: the anonymous id starts anew, as in analytics.js. */
export function become(id) {
  const [anonymous, user] = me();
  ids = [user && user != id ? newId() : anonymous, id];
  keepMe();
}

export function forget() {
  ids = 0;
  put("mw.i");
  keepMe();
}
