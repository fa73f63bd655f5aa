// Every call of Segment's Node library, unmodified; the machine's clock can be wrong by SHIFT_MS.
const shift = Number(process.env.SHIFT_MS ?? 0)
const Real = Date
if (shift) {
  globalThis.Date = class extends Real {
    constructor(...given) {
      super(...(given.length ? given : [Real.now() + shift]))
    }
    static now() {
      return Real.now() + shift
    }
  }
}
const { Analytics } = await import('@segment/analytics-node')
const analytics = new Analytics({
  writeKey: process.env.WRITE_KEY,
  host: process.env.HOST,
  flushAt: 6,
  flushInterval: 500,
})
analytics.on('error', (error) => console.error(JSON.stringify(error)))
const userId = 'node-user'
analytics.identify({ userId, traits: { email: 'ann@example.com', plan: 'pro' } })
analytics.track({ userId, event: 'Order Completed', properties: { order_id: 'o-1', total: 12.5, products: [] } })
analytics.page({ userId, name: 'Home', category: 'Shop', properties: { url: 'https://shop.example/' } })
analytics.screen({ userId, name: 'Start', properties: { width: 390 } })
analytics.group({ userId, groupId: 'acme', traits: { seats: 3 } })
analytics.alias({ userId, previousId: 'node-visitor' })
await analytics.closeAndFlush({ timeout: 60000 })
