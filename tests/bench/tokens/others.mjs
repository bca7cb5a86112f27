// The same for npm's tiktoken (WebAssembly) and gpt-tokenizer: a file in conversations of 4 KB, as a program would give them, for
// both choke on more at once. Processor time, after two megabytes to get warm.
import { readFileSync } from 'node:fs';
import { packages } from '../../tokenizers/packages.mjs';

const { tiktoken, gpt } = packages();
for (const name of ['o200k_base', 'cl100k_base']) {
  const encoder = tiktoken.get_encoding(name);
  const nothing = { disallowedSpecial: new Set() };
  const others = { tiktoken: (text) => encoder.encode(text, [], []).length, 'gpt-tokenizer': (text) => gpt[name].countTokens(text, nothing) };
  for (const [who, count] of Object.entries(others)) {
    for (const file of process.argv.slice(2)) {
      const bytes = readFileSync(file);
      const whole = bytes.toString('utf8');
      const texts = [];
      for (let at = 0; at < whole.length; at += 4096) texts.push(whole.slice(at, at + 4096));
      for (const text of texts.slice(0, 500)) count(text);  // warm
      const start = process.cpuUsage();
      let tokens = 0;
      for (const text of texts) tokens += count(text);
      const seconds = process.cpuUsage(start).user / 1e6;
      console.log(`${who} ${name} ${file}: ${(bytes.length / 1e6 / seconds).toFixed(1)} MB/s (${tokens} tokens)`);
    }
  }
  for (const [who, count] of Object.entries(others)) {
    const start = process.hrtime.bigint();  // so little, because it is quadratic for some
    count('a'.repeat(50_000));
    console.log(`${who} ${name} 0.05 MB of 'a': ${(Number(process.hrtime.bigint() - start) / 1e6).toFixed(0)} ms`);
  }
  encoder.free();
}
