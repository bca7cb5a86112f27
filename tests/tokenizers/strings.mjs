// Texts that are hard to cut: by hand, at random, and every character of Unicode between others.

export const by_hand = [
  '', ' ', '  ', '   a', 'a   ', '\n', '\r\n', '\r\n\r\n  x', 'a \n b', 'a\n \n', '\t\t\tx', 'x\n\n\n', ' \n \n ', '\u00a0x', 'x\u00a0\u00a0y',
  'a\u0085b', 'a\u0085 \u0085', '\u2028\u2029x', '\u3000\u3000漢', '\ufeff', '\ufeffx', 'x\u200by', '\u180ex', '\v\f x', '\u001c\u001d',
  "don't", "DON'T", "I'M we'Re they'LL", "'s's's", "x'ſ", "'ſ", "X'ſY", "it''s", "'", "''", "'ll'l", "ab'cd", "O'Neil's", "1's 1'S", "rock'n'roll",
  '0', '12', '123', '1234', '1234567890', '12 345', '1,234.56', '٣٤٥٦٧', 'Ⅻ½²³', '1a2b3c', '３４５６', '१२३४',
  'HTTPServer', 'camelCaseXMLHttp', 'ALLCAPS', 'iPhone', 'ǅungla', 'ǅǅ', 'aǅa', 'ʰʱʲ', 'ªº', 'Aªa', 'aªA', 'Ωmega', 'straßE', 'ÀÉÎ õü', 'ŁódźŁÓDŹ',
  'e\u0301t\u00e9', '\u0301', '\u0301A', '\u0301AB', '\u0301Ab', 'A\u0301', 'AB\u0301C', ' \u0301', '.\u0301', '.\u0301a', 'Z\u0335\u0336a\u0337', 'x\u20dd',
  'नमस्ते दुनिया', 'ภาษาไทยไม่มีช่องว่าง', 'שָׁלוֹם', 'السَّلَامُ عَلَيْكُمْ', 'தமிழ்', 'ພາສາລາວ', 'မြန်မာ', 'ខ្មែរ', 'བོད་ཡིག', 'አማርኛ', 'ქართული ᲥᲐᲠᲗᲣᲚᲘ', 'Ελληνικά', 'Русский Язык',
  '漢字かなカナ', '한국어 텍스트', '中文，标点。', 'ｶﾞｷﾞ', '𠀀𠮷', 'Ꭰꭰ', '𐐀𐐨', 'ꙮ', 'ߊߋ',
  '😀', '👨‍👩‍👧‍👦', '🏳️‍🌈', '👍🏽👍🏿', '🇩🇪🇫🇷', '©️®', '☃️', 'a😀b', ' 😀', '😀\n', '1️⃣',
  '<|endoftext|>', '<|im_start|>user', 'a<|endofprompt|>b', '<|fim_prefix|><|fim_suffix|>', '<|end', '|>',
  'foo/bar//baz', 'http://x.y/z?a=b&c=d#e', '//\n//\r\n', '.../\n/', '...\r\n\r\n/x', '{"a": [1, 2, {"b": null}]}', 'if (a != b) { return; }\n\n\t// x',
  '<div class="x">\n  <p/>\n</div>', 'C:\\a\\b', '$$$', '-----', '=====\n', '#'.repeat(70), '_'.repeat(200), 'a'.repeat(97), 'ab'.repeat(300), ' '.repeat(300) + 'x',
  '\n'.repeat(150), '0'.repeat(100), '漢'.repeat(90), '😀'.repeat(60), 'Z'.repeat(129), '\u0000', '\u0001\u0002', '\u007f', 'a\u0000b', '\u{10ffff}', '\uffff', '\ue000', '\u{e0001}',
  'zz \u2009 \u200a z', 'é'.repeat(50), 'Lorem ipsum dolor sit amet, consectetur adipiscing elit.', '  def f(x):\n    return x\n', 'SELECT * FROM t WHERE a=\'b\';',
];

/** A generator that gives the same numbers everywhere. */
export function numbers(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const snippets = [
  ' ', '  ', '\n', '\r\n', '\t', '\u00a0', '\u3000', '\u2003', "'s", "'LL", "'re", "'", '"', '.', ',', '...', '/', '//', '-', '_', '(', ')', '<|endoftext|>', '1', '23', '456',
  'a', 'the', ' The', 'QUICK', 'Fox', 'ing', 'é', 'É', 'ß', 'ǅ', 'ʰ', 'ª', '\u0301', '\u0308', '\u20dd', '漢', 'かな', '한', 'я', 'Я', 'ω', 'Ω', 'ა', 'नि', 'ไท', 'م', 'ש', '😀', '👍🏽', '\u200d', '²', '½', 'Ⅷ', '٣',
];
// Where a code point is drawn from: whole scripts rather than the emptiness between them.
const ranges = [[0x20, 0x7e], [0xa0, 0x24f], [0x250, 0x36f], [0x370, 0x52f], [0x590, 0x6ff], [0x900, 0xdff], [0xe00, 0x10ff], [0x1100, 0x1aff], [0x1c80, 0x20ff],
  [0x2100, 0x2bff], [0x3000, 0x33ff], [0x4e00, 0x9fff], [0xa480, 0xabff], [0xac00, 0xd7a3], [0xf900, 0xffef], [0x10000, 0x10fff], [0x1d400, 0x1d7ff], [0x1f300, 0x1faff], [0x20000, 0x20fff]];

export function at_random(count, seed) {
  const below = numbers(seed);
  const out = [];
  while (out.length < count) {
    let text = '';
    const length = 1 + below(below(4) === 0 ? 200 : 20);
    const wild = below(3);
    for (let i = 0; i < length; ++i) {
      if (below(3) < wild) {
        const [first, last] = ranges[below(ranges.length)];
        text += String.fromCodePoint(first + below(last - first + 1));
      } else {
        const snippet = snippets[below(snippets.length)];
        text += below(8) === 0 ? snippet.repeat(1 + below(20)) : snippet;
      }
    }
    out.push(text);
  }
  return out;
}

/** Each character that Unicode has given away, among letters, digits, blanks and signs. */
export function every_character() {
  const out = [];
  for (const [first, last] of [[0, 0xd7ff], [0xe000, 0xe0ff], [0xf8f0, 0x1ffff], [0x2fa00, 0x2fa20], [0x323a0, 0x323b0], [0xe0000, 0xe01f0]]) {
    for (let code = first; code <= last; code += 64) {
      let text = '';
      for (let c = code; c < code + 64 && c <= last; ++c) {
        const it = String.fromCodePoint(c);
        text += `x${it}Y${it}'s1${it}2 ${it}.${it}\n${it}${it}B `;
      }
      out.push(text);
    }
  }
  return out;
}
