// Writes expected.jsonl, what OpenAI's tokenizer says of the texts made by hand:
//   BATCHD_NODE_PACKAGES=build/release/tokenizers node tests/tokenizers/make_expected.mjs > tests/tokenizers/expected.jsonl
import { packages } from './packages.mjs';
import { by_hand } from './strings.mjs';

const { tiktoken } = packages();
const encoders = ['o200k_base', 'cl100k_base'].map((name) => [name, tiktoken.get_encoding(name)]);
for (const text of by_hand) {
  const counts = encoders.map(([name, encoder]) => [name, encoder.encode(text, [], []).length]);
  console.log(JSON.stringify({ text, ...Object.fromEntries(counts) }));
}
