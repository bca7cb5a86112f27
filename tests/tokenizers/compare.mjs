// batchd's counts against those of OpenAI's tokenizer (npm tiktoken), for every text of strings.mjs, and against gpt-tokenizer's
// where JavaScript's regular expressions take the text as Rust's do (they differ in what is a blank, and in Unicode's version).
import { execFileSync } from 'node:child_process';
import { packages } from './packages.mjs';
import { at_random, by_hand, every_character } from './strings.mjs';

const { tiktoken, gpt } = packages();
const count = Number(process.env.BATCHD_TOKENIZER_STRINGS ?? 6000);
const seed = Number(process.env.BATCHD_TOKENIZER_SEED ?? 20261123);
const ordinary = [...by_hand, ...at_random(count, seed)];
const texts = [...ordinary, ...every_character()];
const lines = texts.map((text) => JSON.stringify({ text })).join('\n') + '\n';
const show = (text) => JSON.stringify(text.length > 200 ? text.slice(0, 200) + '…' : text);
let wrong = 0;
for (const name of ['o200k_base', 'cl100k_base']) {
  const out = execFileSync(process.env.BATCHD_BIN, ['tokens', '--encoding', name, '-'],
    { input: lines, maxBuffer: 1 << 28, env: { ...process.env, BATCHD_TOKENS_VOCABULARY_DIR: process.env.BATCHD_VOCABULARY } });
  const ours = out.toString().trim().split('\n').map(Number);
  const encoder = tiktoken.get_encoding(name);
  let against = 0;
  let odd = 0;
  texts.forEach((text, i) => {
    const theirs = encoder.encode(text, [], []).length;
    if (ours[i] !== theirs && ++wrong <= 20) console.log(`${name}: ${ours[i]} instead of tiktoken's ${theirs}: ${show(text)}`);
    if (i >= ordinary.length) return;
    if (/[\u0085\ufeff\u180e]/.test(text)) return;
    ++against;
    const others = gpt[name].encode(text, { disallowedSpecial: new Set() }).length;
    if (others !== theirs) { ++odd; return; }
    if (ours[i] !== others) ++wrong;
  });
  if (odd * 100 > against) { ++wrong; console.log(`${name}: gpt-tokenizer and tiktoken differ on ${odd} of ${against}`); }
  console.log(`${name}: ${texts.length} texts as tiktoken counts them, ${against - odd} of ${against} as gpt-tokenizer does`);
  encoder.free();
}
process.exit(wrong === 0 && texts.length > 3000 ? 0 : 1);
