// How far llama.cpp's logits on a file are from those of `tare logits --ids … -o LOGITS.safetensors`, as JSON: node logits.mjs MODEL LOGITS.safetensors IDS [TEXT]
// IDS are the comma-separated ids of LOGITS; with TEXT, also whether the peer cuts it into the same ids.
import { readFileSync } from "node:fs";
import { getLlama } from "node-llama-cpp";

const [path, reference, list, text] = process.argv.slice(2);
const ids = list.split(",").map(Number);
const bytes = readFileSync(reference);
const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString());
const { shape, data_offsets } = header.logits;
const start = 8 + Number(bytes.readBigUInt64LE(0)) + data_offsets[0];
const ours = new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + start + 4 * shape[0] * shape[1])); // [ids, vocabulary]

const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });
const model = await llama.loadModel({ modelPath: path });
const context = await model.createContext({ contextSize: ids.length + 8, flashAttention: false });
const sequence = context.getSequence();
const plain = { temperature: 1, topK: 0, topP: 1, minP: 0 };
const output = await sequence.controlledEvaluate(ids.map((id) => [id, { generateNext: { logits: true, options: plain } }]));

let worstKl = 0, sumKl = 0, same = 0, worst = 0;
for (let t = 0; t < ids.length; t++) {
  const a = ours.subarray(t * shape[1], (t + 1) * shape[1]), b = new Float64Array(shape[1]).fill(-Infinity);
  for (const [id, logit] of output[t].next.logits) b[id] = logit;
  const normalize = (x) => { const most = x.reduce((m, v) => Math.max(m, v), -Infinity); return most + Math.log(x.reduce((s, v) => s + Math.exp(v - most), 0)); };
  const na = normalize(a), nb = normalize(b);
  let kl = 0, bestA = 0, bestB = 0;
  for (let i = 0; i < a.length; i++) {
    const p = Math.exp(a[i] - na);
    if (p > 0) kl += p * (a[i] - na - (b[i] - nb));
    if (p > 1e-6) worst = Math.max(worst, Math.abs(a[i] - na - (b[i] - nb)));
    if (a[i] > a[bestA]) bestA = i;
    if (b[i] > b[bestB]) bestB = i;
  }
  sumKl += kl; worstKl = Math.max(worstKl, kl); same += bestA === bestB;
}
const result = { peer: "llama.cpp by node-llama-cpp", release: llama.llamaCppRelease?.release, positions: ids.length, mean_kl: sumKl / ids.length, max_kl: worstKl, top_1_agreement: same / ids.length, max_log_probability_difference: worst };
if (text !== undefined) result.same_ids = JSON.stringify(model.tokenize(text, true)) === JSON.stringify(ids);
console.log(JSON.stringify(result));
process.exit(0);
