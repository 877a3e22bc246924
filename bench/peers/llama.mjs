// llama.cpp's tokens per second on a file, as JSON: node llama.mjs MODEL THREADS PROMPT GENERATE REPETITIONS
import { getLlama } from "node-llama-cpp";

const [path, threads, prompt, generate, repetitions] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: threads });
const model = await llama.loadModel({ modelPath: path, useMmap: true });
const context = await model.createContext({ contextSize: prompt + generate + 64, batchSize: 512, threads, flashAttention: true });
const sequence = context.getSequence();
const token = (i) => 100 + ((i + 1000) * 7919) % 20000;
const result = { peer: "llama.cpp by node-llama-cpp", release: llama.llamaCppRelease?.release, threads, pp: [], tg: [] };
for (let r = -1; r < repetitions; r++) {
  await sequence.clearHistory();
  const tokens = Array.from({ length: prompt }, (_, i) => token(i + r * 31));
  let start = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(tokens);
  if (r >= 0) result.pp.push(prompt / ((performance.now() - start) / 1000));
  await sequence.clearHistory();
  await sequence.evaluateWithoutGeneratingNewTokens([token(1)]);
  start = performance.now();
  let count = 0;
  for await (const _ of sequence.evaluate([token(2)], { temperature: 0, yieldEogToken: true })) if (++count >= generate) break;
  if (r >= 0) result.tg.push(count / ((performance.now() - start) / 1000));
}
console.log(JSON.stringify(result));
process.exit(0);
