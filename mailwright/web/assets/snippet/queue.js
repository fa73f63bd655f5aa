// Events on their way: in memory, in storage where that is allowed, and out in batches until the door has them.
//
// Every tab keeps a list of its own, so that tabs overwrite nothing of each other; whoever starts next takes over what
// is left. That may send an event twice; its message id makes it count once.

import { get, lists, maySend, mayStore, newId, on, options, put, w } from "./state.js";

const MOST = 300; // events; of more the oldest go
const BATCH_CHARS = 18e3; // at most 54 KB as UTF-8: browsers take 64 KB from a page that is going
const HINTS = ["model", "platformVersion"];
const FIRST_WAIT = 1e3;
const LONGEST_WAIT = 3e5;

const mine = "mw.q" + newId();
let queue = []; // [text of the event, whether it is on its way]
let wait = FIRST_WAIT;
let timer;
let hints;

function save() {
  queue = queue.slice(-MOST);
  put(mine, mayStore() && queue.length && queue.map(([text]) => [text]));
}

export function add(event) {
  queue.push([JSON.stringify(event)]);
  save();
  plan(200);
}

function plan(ms) {
  clearTimeout(timer);
  timer = setTimeout(flush, ms);
}

const flying = (one) => one[1];
const mark = (batch, flies) => batch.forEach((one) => (one[1] = flies));

/** What is true of all events of this browser. Client hints only as the browser offers them; no fingerprint. */
function context() {
  return {
    library: { name: "mailwright.js", version: VERSION },
    locale: navigator.language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    userAgentData: hints,
  };
}

function body(batch) {
  const head = JSON.stringify({ writeKey: options.key, sentAt: new Date(), context: context() });
  return `${head.slice(0, -1)},"batch":[${batch.map(([text]) => text)}]}`;
}

export function flush(leaving) {
  if (!maySend()) return;
  let size = 0;
  const batch = queue.filter(([text, flies]) => !flies && (!size || size + text.length < BATCH_CHARS) && (size += text.length));
  if (!size || (!leaving && queue.some(flying))) return; // one at a time while there is time
  mark(batch, 1);
  const url = options.host + "/v1/batch";
  // Plain text needs no preflight, which a page that is going could not wait for.
  if (leaving && navigator.sendBeacon?.(url, body(batch))) return flush(leaving);
  fetch(url, { method: "POST", body: body(batch), keepalive: true, credentials: "omit" })
    .then(async (answer) => {
      await answer.text(); // an answer that is not read counts against what the browser keeps alive
      if (/^5|429/.test(answer.status)) throw 0;
      queue = queue.filter((one) => !batch.includes(one));
      save();
      again();
    })
    .catch(() => {
      mark(batch);
      plan(wait * (0.5 + Math.random()));
      wait = Math.min(wait * 2, LONGEST_WAIT);
    });
}

function again() {
  wait = FIRST_WAIT;
  plan(0);
}

/** Take over what earlier pages left, once events may be stored. */
export function takeOver() {
  const left = lists().filter((name) => name != mine);
  for (const name of left) queue.push(...(get(name) || []));
  save();
  left.forEach((name) => put(name));
  hints ||= navigator.userAgentData?.getHighEntropyValues(HINTS).then((told) => (hints = told));
  plan(0);
}

export function drop() {
  queue = [];
  lists().forEach((name) => put(name));
}

export function watchLeaving(last) {
  on("pagehide", () => (last(0, 1), flush(1)), w);
  on("visibilitychange", () => (last(), flush()));
  // Nobody knows whether what a leaving page sent arrived: a page that comes back sends it again.
  on("pageshow", (event) => event.persisted && again(mark(queue)), w);
  on("online", again, w);
}
