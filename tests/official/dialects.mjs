// How a user of the official client reaches each dialect, and what differs in what he then sends and gets. The client is the
// package as published: nothing of it is replaced, and it is given nothing but its own documented options.
import { File as BufferFile } from 'node:buffer';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// What Node 18 lacks, in the words of the client's own message: set `globalThis.File` to `import('node:buffer').File`.
globalThis.File ??= BufferFile;

// Settings of the user's own account must not reach these tests.
for (const name of Object.keys(process.env)) {
  if (/^(OPENAI|AZURE_OPENAI)_/.test(name)) delete process.env[name];
}

const packages = process.env.BATCHD_NODE_PACKAGES;
if (!packages) throw new Error('BATCHD_NODE_PACKAGES names no directory with node_modules: run tests/official/run');
export const require = createRequire(join(packages, 'package.json'));
export const openai = require('openai');
export const version = require('openai/version').VERSION;

const { OpenAI, AzureOpenAI } = openai;
export const key = 'the-key';

const azureDated = (apiVersion, more) => ({
  name: `AzureOpenAI with api-version ${apiVersion}`,
  azure: true,
  dated: true,
  base: '/openai',
  query: `?api-version=${apiVersion}`,
  endpoint: '/chat/completions',
  url: '/chat/completions',
  uploadStatus: 201,
  client: (simulator, options) => new AzureOpenAI({ endpoint: simulator.origin, apiVersion, apiKey: key, ...options }),
  ...more,
});

export const dialects = [
  {
    name: 'OpenAI at /v1',
    azure: false,
    base: '/v1',
    query: '',
    endpoint: '/v1/chat/completions',
    url: '/v1/chat/completions',
    shortestExpiry: 3_600,
    fileList: { cursor: true },
    document: 'openai-files-batches.json',
    uploadStatus: 200,
    createStatus: 200,
    client: (simulator, options) => new OpenAI({ baseURL: `${simulator.origin}/v1`, apiKey: key, ...options }),
  },
  azureDated('2024-10-21', { document: 'azure-2024-10-21-batch-files.json', createStatus: 200, fileList: {} }),
  azureDated('2025-04-01-preview', {
    document: 'azure-2025-04-01-preview-batch-files.json',
    createStatus: 201,
    shortestExpiry: 1_209_600,
    fileList: { cut: true },
    filters: true,
  }),
  {
    name: 'OpenAI at Azure /openai/v1',
    azure: true,
    base: '/openai/v1',
    query: '',
    endpoint: '/chat/completions',
    url: '/v1/chat/completions',
    shortestExpiry: 1_209_600,
    fileList: { cursor: true },
    document: 'azure-v1-batch-files.json',
    uploadStatus: 200,
    createStatus: 201,
    // As Microsoft's guide writes it: the plain class, the slash at the end, the resource's key as the key.
    client: (simulator, options) => new OpenAI({ baseURL: `${simulator.origin}/openai/v1/`, apiKey: key, ...options }),
  },
];

/// A batch input file of one chat request for each prompt, with the ids r-0, r-1, ...; `kind` asks the simulator for an outcome.
export function inputFile(dialect, prompts) {
  const line = ({ prompt, kind }, index) => ({
    custom_id: `r-${index}`,
    method: 'POST',
    url: dialect.url,
    body: {
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: prompt }],
      ...(kind && { metadata: { sim: kind } }),
    },
  });
  return prompts
    .map((prompt) => (typeof prompt === 'string' ? { prompt } : prompt))
    .map((prompt, index) => `${JSON.stringify(line(prompt, index))}\n`)
    .join('');
}

export function linesOf(text) {
  return text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}
