// The packages that tests/tokenizers/run has installed into a build.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

export function packages() {
  const require = createRequire(resolve(process.env.BATCHD_NODE_PACKAGES, 'package.json'));
  return {
    tiktoken: require('tiktoken'),
    gpt: {
      o200k_base: require('gpt-tokenizer/encoding/o200k_base'),
      cl100k_base: require('gpt-tokenizer/encoding/cl100k_base'),
    },
  };
}
