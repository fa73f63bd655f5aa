// What a shop's pages show beyond that: declared features, products, search, filters, videos, and the GA4 data layer. Loaded by the snippet
// on pages that have any of it.

import { readDataLayer } from "./data_layer.js";

const d = document;
const { tell: send, options, hooks, on, me } = window.mailwright.parts.shop;

let main; // the product that this page is about
let dwelt = {}; // product id -> [product, seconds]
let videos = new WeakMap(); // video -> [quarter that was told, percent where it was]
const inView = new Set();

// --- one thing told in two ways counts once -------------------------------------------------------------------------

const SHOPPING = /^(Product|Cart|Checkout|Order|Coupon|Promotion|Payment)/;
const VIEWS = /Viewed|Searched|Started|Completed|Entered/;
const SOON = 1e3;
let known = {}; // event and what it is about -> [who told it, when]
let knownAt;

/** Whether this event is new: a data layer, attributes and the shop's own code may all tell of it. */
function isNew(name, properties, from) {
  if (!SHOPPING.test(name)) return true;
  if (knownAt != location.href) {
    knownAt = location.href;
    known = {};
  }
  const { list_id, filters, step } = properties;
  const id = properties.product_id ?? properties.order_id ?? properties.query ?? JSON.stringify([list_id, filters, step]);
  const key = `${name}|${id}`;
  const before = known[key];
  known[key] = [from, Date.now()];
  if (!before) return true;
  const [teller, at] = before;
  // What somebody sees is seen once a page; what they do may be done again, but not at once by two tellers.
  return VIEWS.test(name) ? teller == from && from == "api" : teller == from || Date.now() - at > SOON;
}

function tell(name, properties, from, options) {
  // An order page that is loaded again tells the same order again.
  const once = name == "Order Completed" && properties.order_id && { messageId: `${me()[0]}-${properties.order_id}` };
  send(name, properties, from, { ...options, ...once });
}

const json = (text) => {
  try {
    return JSON.parse(text);
  } catch {}
};
const asObject = (text) => {
  const told = json(text);
  return told && typeof told == "object" ? told : { product_id: text };
};
const productOf = (element) => asObject(element.dataset.mwProduct);
const told = (element) => {
  const around = element.closest("[data-mw-product]");
  return { ...(around && productOf(around)), ...json(element.dataset.mwProps) };
};

const searchNames = () => (options.search ?? "q,query,search,search_query").split(",");

// --- a page begins --------------------------------------------------------------------------------------------------

/** The one product that structured data describes, in the words of the Segment spec. */
function declared() {
  const found = [...d.querySelectorAll('script[type="application/ld+json"]')]
    .flatMap((script) => json(script.textContent) || [])
    .flatMap((thing) => thing["@graph"] || thing)
    .filter((thing) => /Product$/.test(thing["@type"]));
  if (found.length != 1) return;
  const [it] = found;
  const offer = [it.offers].flat()[0] || {};
  return {
    product_id: it.productID ?? it.sku ?? it.name,
    sku: it.sku,
    name: it.name,
    brand: it.brand?.name ?? it.brand,
    category: it.category,
    price: offer.price == null ? undefined : +offer.price,
    currency: offer.priceCurrency,
    url: location.href,
    image_url: [it.image].flat()[0],
  };
}

function look() {
  inView.clear();
  seen?.disconnect();
  main = undefined;
  videos = new WeakMap();
  for (const element of d.querySelectorAll("[data-mw-seen]")) {
    const name = element.dataset.mwSeen;
    const about = told(element);
    if (name == "Product Viewed") main = about;
    tell(name, about, "page");
  }
  if (!main && (main = declared())) tell("Product Viewed", main, "page");
  const asked = new URLSearchParams(location.search);
  const words = (names) => names.filter((name) => asked.get(name));
  const [search] = words(searchNames());
  if (search) tell("Products Searched", { query: asked.get(search) }, "page");
  const filters = words((options.filters ?? "").split(",")).flatMap((type) => asked.getAll(type).map((value) => ({ type, value })));
  if (filters.length) tell("Product List Filtered", { filters }, "page");
  for (const element of d.querySelectorAll("[data-mw-product]")) seen?.observe(element);
}

// --- how long -------------------------------------------------------------------------------------------------------

const seen =
  window.IntersectionObserver &&
  new IntersectionObserver(
    (changes) => {
      for (const { target, isIntersecting } of changes) inView[isIntersecting ? "add" : "delete"](target);
    },
    { threshold: 0.5 },
  );

/** Seconds go to every product in view; the page's own is there as long as the page is. */
function everySecond() {
  if (d.hidden) return;
  const about = [...inView].map(productOf);
  if (main) about.push(main);
  for (const each of new Map(about.map((one) => [one.product_id, one])).values()) {
    (dwelt[each.product_id] ||= [each, 0])[1]++;
  }
}

function tellDwelling(options) {
  for (const [about, seconds] of Object.values(dwelt)) tell("Product Dwelled", { ...about, seconds }, "page", options);
  dwelt = {};
}

// --- what is done ---------------------------------------------------------------------------------------------------

const near = (event, selector) => event.target.closest?.(selector);

function clicked(event) {
  const { mwFeature } = near(event, "[data-mw-feature]")?.dataset || {};
  if (mwFeature) tell("Feature Clicked", { feature: mwFeature }, "page");
  acted(event, "[data-mw-track]:not(form)");
}

function acted(event, selector) {
  const element = near(event, selector);
  if (element) tell(element.dataset.mwTrack, told(element), "page");
}

function submitted(event) {
  acted(event, "form[data-mw-track]");
  const form = event.target;
  const field = form.matches("[data-mw-search]") && form.querySelector("[type=search],[type=text],input:not([type])");
  const query = field?.value;
  if (!query) return;
  const say = () => tell("Products Searched", { query }, "page");
  // A form that leads to a page with the words in its address is told by that page; whether the shop's own script
  // keeps the form here is known only when it has had the event.
  if (form.method == "get" && searchNames().includes(field.name)) setTimeout(() => event.defaultPrevented && say());
  else say();
}

function changed(event) {
  const form = near(event, "[data-mw-filter]");
  if (!form) return;
  const chosen = form.querySelectorAll("input:checked,select,input:not([type=checkbox],[type=radio])");
  const filters = [...(form.value == null ? chosen : [form])]
    .filter((field) => field.value)
    .map((field) => ({ type: field.name, value: field.value }));
  tell("Product List Filtered", { filters }, "page");
}

/** Quarters of a video count when they are passed by playing; a loop that plays by itself is no play. */
function played({ type, target }) {
  const { duration, currentTime } = target;
  if (!(duration > 0) || (target.autoplay && target.muted)) return;
  const about = { video: target.currentSrc.split("?")[0], title: target.title || undefined, total_length: duration };
  if (!videos.has(target)) {
    if (type != "playing") return;
    tell("Video Playback Started", about, "page");
  }
  let [reached, before] = videos.get(target) || [0, 0];
  const ended = type == "ended";
  const part = ended ? 100 : (currentTime / duration) * 100;
  for (const percent of (part - before) * duration < 300 ? [25, 50, 75] : []) {
    if (percent > reached && percent > before && percent <= part) {
      tell("Video Content Playing", { ...about, percent }, "page");
      reached = percent;
    }
  }
  if (ended && reached < 100) {
    tell("Video Playback Completed", about, "page");
    reached = 100;
  }
  videos.set(target, [reached, part]);
}

for (const one of hooks.told) isNew(...one);
hooks.isNew = isNew;
setInterval(everySecond, 1e3);
hooks.look.push(look);
hooks.time.push(tellDwelling);
on("click", clicked);
on("submit", submitted);
on("change", changed);
for (const name of ["playing", "timeupdate", "ended"]) on(name, played);
look();
readDataLayer(options.layer, tell);
