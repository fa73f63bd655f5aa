// The GA4 data layer's shopping events as events of the Segment e-commerce spec: one shape, whoever tells it.

const number = (value) => (value == null || value === "" || isNaN(value) ? undefined : +value);

const product = (item, currency) => ({
  product_id: item.item_id ?? item.item_name,
  sku: item.item_sku,
  name: item.item_name,
  brand: item.item_brand,
  category: item.item_category,
  variant: item.item_variant,
  coupon: item.coupon,
  price: number(item.price),
  quantity: number(item.quantity),
  position: number(item.index),
  currency: item.currency ?? currency,
});

// How a GA4 event's parameters become properties: p(arameters), i(tems) made into products.
const list = (p, i) => ({ list_id: p.item_list_id ?? i[0]?.item_list_id, category: p.item_list_name, products: i });
const cart = (p, i) => ({ cart_id: p.cart_id, value: number(p.value), coupon: p.coupon, products: i });
const one = (p, [i]) => ({ ...i, value: number(p.value) });
const order = (p, i) => ({
  order_id: p.transaction_id,
  affiliation: p.affiliation,
  revenue: number(p.value),
  total: number(p.value) + (number(p.shipping) || 0) + (number(p.tax) || 0),
  shipping: number(p.shipping),
  tax: number(p.tax),
  coupon: p.coupon,
  products: i,
});
const promotion = (p) => ({
  promotion_id: p.promotion_id,
  name: p.promotion_name,
  creative: p.creative_name,
  position: p.creative_slot,
});
const step = (p, i) => ({ ...cart(p, i), payment_method: p.payment_type, shipping_method: p.shipping_tier });

const EVENTS = {
  __proto__: null,
  view_item: ["Product Viewed", one],
  view_item_list: ["Product List Viewed", list],
  select_item: ["Product Clicked", one],
  add_to_cart: ["Product Added", one],
  remove_from_cart: ["Product Removed", one],
  add_to_wishlist: ["Product Added to Wishlist", one],
  view_cart: ["Cart Viewed", cart],
  begin_checkout: ["Checkout Started", cart],
  add_shipping_info: ["Checkout Step Completed", step],
  add_payment_info: ["Payment Info Entered", step],
  purchase: ["Order Completed", order],
  refund: ["Order Refunded", order],
  search: ["Products Searched", (p) => ({ query: p.search_term })],
  view_search_results: ["Products Searched", (p) => ({ query: p.search_term })],
  view_promotion: ["Promotion Viewed", promotion],
  select_promotion: ["Promotion Clicked", promotion],
};

/** Tell what lies in the data layer and what comes: pushed as an object, or by `gtag('event', ...)`. */
export function readDataLayer(name, tell) {
  const layer = (window[name] ||= []);
  const read = (entry) => {
    const [event, told] =
      entry?.[0] == "event" ? [entry[1], entry[2] || {}] : [entry?.event, { ...entry, ...entry?.ecommerce }];
    const [ours, shape] = EVENTS[event] || [];
    if (!ours) return;
    const { currency } = told;
    const items = (told.items || []).map((item) => product(item, currency));
    // In the Segment spec an event about a product is about one.
    for (const few of shape == one ? items.map((item) => [item]) : [items]) tell(ours, { currency, ...shape(told, few) }, "layer");
  };
  const push = layer.push;
  layer.push = (...entries) => {
    const answer = push.apply(layer, entries);
    entries.forEach(read);
    return answer;
  };
  layer.slice().forEach(read);
}
