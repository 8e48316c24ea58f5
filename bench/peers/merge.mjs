// Merges the changes of several replicas with one of the libraries, and says how fast.
//
//   node merge.mjs LIBRARY MODE REPLICAS KEYS SETS ANSWERS
//
// Makes the changes: each replica sets random keys of one map. MODE says how they travel: "batched"
// by 1,000 or "single". Then writes "ready BYTES SAVED" to the file ANSWERS: how many bytes a change
// has, and how many the document once all are merged.
// For each line of its input a new document takes the changes of all replicas, and a line with
// changes a second is written. Ends with its input, or when two documents differ.

import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [library, mode, ...rest] = process.argv.slice(2);
const [replicas, keys, sets] = rest.slice(0, 3).map(Number);
const answers = rest[3];
const perBatch = mode === "batched" ? 1000 : 1;

/** The numbers that the measurement of Troupe draws as well. */
function random(seed) {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}
const valueOf = (replica, i) => `payload-${replica}-${i}`.padEnd(32, "x");

const makers = {
  async yjs() {
    const Y = await import("yjs");
    return {
      make() {
        const doc = new Y.Doc();
        const updates = [];
        doc.on("updateV2", (update) => updates.push(update));
        const map = doc.getMap("m");
        return {
          updates,
          batch: (set) => doc.transact(() => set((key, value) => map.set(key, value))),
        };
      },
      merge(updates) {
        const doc = new Y.Doc();
        for (const update of updates) Y.applyUpdateV2(doc, update);
        const saved = () => Y.encodeStateAsUpdateV2(doc).length;
        return { json: doc.getMap("m").toJSON(), saved };
      },
    };
  },
  async loro() {
    const { LoroDoc } = await import("loro-crdt");
    return {
      make() {
        const doc = new LoroDoc();
        const updates = [];
        doc.subscribeLocalUpdates((update) => updates.push(update));
        const map = doc.getMap("m");
        return {
          updates,
          batch(set) {
            set((key, value) => map.set(key, value));
            doc.commit();
          },
        };
      },
      merge(updates) {
        const doc = new LoroDoc();
        for (const update of updates) doc.import(update);
        const saved = () => doc.export({ mode: "snapshot" }).length;
        return { json: doc.getMap("m").toJSON(), saved };
      },
    };
  },
  async automerge() {
    const A = await import("@automerge/automerge");
    const base = A.save(A.from({ m: {} }));
    return {
      make() {
        let doc = A.load(base);
        const updates = [];
        return {
          updates,
          batch(set) {
            doc = A.change(doc, (draft) =>
              set((key, value) => (draft.m[key] = new A.ImmutableString(value))));
            updates.push(A.getLastLocalChange(doc));
          },
        };
      },
      merge(updates) {
        let doc = A.load(base);
        for (const update of updates) [doc] = A.applyChanges(doc, [update]);
        const json = Object.fromEntries(Object.entries(doc.m).map(([k, v]) => [k, String(v)]));
        return { json, saved: () => A.save(doc).length };
      },
    };
  },
};

const { make, merge } = await makers[library]();
const streams = [];
for (let replica = 0; replica < replicas; ++replica) {
  const draw = random(replica + 1);
  const { updates, batch } = make();
  for (let done = 0; done < sets; done += perBatch)
    batch((set) => {
      for (let i = done; i < Math.min(done + perBatch, sets); ++i)
        set(`k${draw() % keys}`, valueOf(replica, i));
    });
  streams.push(updates);
}
const bytes = streams.flat().reduce((sum, update) => sum + update.length, 0);
const sorted = (json) => JSON.stringify(Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1)));
const first = merge(streams.flat());
const expected = sorted(first.json);
appendFileSync(answers, `ready ${bytes / (replicas * sets)} ${first.saved()}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const turn = Number(line) % replicas;
  const changes = [...streams.slice(turn), ...streams.slice(0, turn)].flat();
  const begin = process.hrtime.bigint();
  const merged = merge(changes);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  if (sorted(merged.json) !== expected) process.exit(1);
  appendFileSync(answers, `${(replicas * sets) / seconds}\n`);
}
