// Scenarios to begin with: those of examples/rehearsal, without their comments.

export const EXAMPLES = [
  {
    name: "bad-release",
    word: "a bad release, taken back by the guard",
    text: `apiVersion: atoll/v1
kind: Rehearsal
metadata: { name: bad-release }
spec:
  lasts: 3h
  start: 20s
  fleet:
    zones: { a: 3, b: 3 }
    applications:
      shop:
        capacity: 100
        min: 10
        max: 20
        promise: 99%
        critical: true
        rollout:
          strategy: canary
          steps: [{ instances: "1", soak: 10m }, { instances: 50%, soak: 10m }]
  load:
    shop: { level: 500, noise: 0.02 }
  faults:
    - { fault: release, at: 30m, of: shop, how: fails }
  checks:
    - { check: served, of: shop, atLeast: 90% }
    - { check: runs, of: shop, release: shop-1 }
    - { check: settled, of: shop }
`,
  },
  {
    name: "peak-day",
    word: "a peak day with a zone lost in it",
    text: `apiVersion: atoll/v1
kind: Rehearsal
metadata: { name: peak-day }
spec:
  from: "2026-11-10T12:00:00Z"
  lasts: 24h
  start: 45s
  fleet:
    zones: { a: 14, b: 14 }
    host: { cpu: 8, memory: 32Gi }
    applications:
      shop:
        capacity: 100
        target: 60
        min: 6
        max: 200
        predict: true
        calls: { stock: 0.6, pay: 0.05 }
        promise: 99%
        resources: { cpu: 500m, memory: 512Mi }
        rollout:
          strategy: canary
          steps: [{ instances: "1", soak: 5m }, { instances: 25%, soak: 5m }]
          deadline: 5m
      stock:
        capacity: 150
        target: 90
        min: 4
        max: 120
        resources: { cpu: 500m, memory: 1Gi }
      pay:
        capacity: 20
        target: 12
        min: 4
        max: 80
        resources: { cpu: 250m, memory: 256Mi }
    objects:
      - apiVersion: atoll/v1
        kind: Price
        metadata: { name: hosts }
        spec: { from: "2026-01-01T00:00:00Z", currency: EUR, hostHour: "0.38" }
  load:
    shop:
      level: 1500
      day: [0.5, 0.3, 0.25, 0.35, 0.6, 0.8, 0.85, 0.8, 0.8, 0.9, 1, 0.8]
      noise: 0.04
      peaks:
        - { at: 12h, times: 10, rise: 20m, lasts: 1h }
  faults:
    - { fault: loss, at: 12h15m, of: zone/a, for: 30m }
    - { fault: release, at: 20h, of: shop, how: dies }
  changes:
    - change: edit
      at: 11h
      of: application/shop
      patch: { spec: { scaling: { min: 160 } } }
    - change: edit
      at: 11h
      of: application/stock
      patch: { spec: { scaling: { min: 60 } } }
    - change: edit
      at: 11h
      of: application/pay
      patch: { spec: { scaling: { min: 40 } } }
    - change: edit
      at: 14h
      of: application/shop
      patch: { spec: { scaling: { min: 6 } } }
    - change: edit
      at: 14h
      of: application/stock
      patch: { spec: { scaling: { min: 4 } } }
    - change: edit
      at: 14h
      of: application/pay
      patch: { spec: { scaling: { min: 4 } } }
  checks:
    - { check: served, of: shop, atLeast: 99.5% }
    - { check: runs, of: shop, release: shop-1 }
    - { check: settled }
    - { check: cost, atMost: 260 }
`,
  },
  {
    name: "zone-loss",
    word: "the loss of a zone of the fleet there is",
    text: `apiVersion: atoll/v1
kind: Rehearsal
metadata: { name: zone-loss }
spec:
  lasts: 24h
  fleet: today
  load:
    "*": { known: forecast }
  faults:
    - { fault: loss, at: 2h, of: zone/a, for: 1h }
  checks:
    - { check: served, atLeast: 99.5% }
    - { check: settled }
`,
  },
] as const;
