// Every request that the daemon's code sent, against the providers' own API documents: those of the provider's conformance suite and
// of the daemons of dialects_test.py, as their simulators recorded them. BATCHD_RECORDED names the recordings.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { ApiDocument } from './documents.mjs';

const bases = [
  ['/openai/v1', () => 'azure-v1-batch-files.json'],
  ['/openai', (version) => dated[version]],
  ['/gateway/v1', () => 'openai-files-batches.json'],
  ['/v1', () => 'openai-files-batches.json'],
];
// No document of 2025-03-01-preview is here; what batchd sends it, it sends the next version too.
const dated = {
  '2024-10-21': 'azure-2024-10-21-batch-files.json',
  '2025-03-01-preview': 'azure-2025-04-01-preview-batch-files.json',
  '2025-04-01-preview': 'azure-2025-04-01-preview-batch-files.json',
};
const documents = new Map();

function documentOf(name) {
  if (!documents.has(name)) documents.set(name, new ApiDocument(name));
  return documents.get(name);
}

/// The operation of its document that a call is, and what is wrong with it.
function judged(call) {
  const [base, choose] = bases.find(([base]) => call.path.startsWith(`${base}/`)) ?? [];
  const document = base && documentOf(choose(call.query['api-version']));
  const operation = document?.operation(call.method, call.path.slice(base.length));
  if (!operation) return { name: 'none', faults: ['no document knows it'] };
  return { name: `${choose(call.query['api-version'])} ${operation.name}`, faults: document.judgeRequest(operation, call) };
}

describe('what batchd sends, by the providers\' documents', () => {
  const recordings = process.env.BATCHD_RECORDED.split(':');
  const calls = recordings.flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)));
  const seen = new Map();

  it('every request is as its document says', () => {
    const wrong = [];
    for (const call of calls) {
      const { name, faults } = judged(call);
      seen.set(name, (seen.get(name) ?? 0) + 1);
      for (const fault of faults) wrong.push(`${name}: ${fault} in ${JSON.stringify(call)}`);
    }
    assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} violations`);
    console.log(`${calls.length} requests, ${seen.size} operations`);
  });

  it('all operations that batchd uses were among them, in each document', () => {
    const operations = ['POST /files', 'GET /files', 'GET /files/{}', 'GET /files/{}/content', 'DELETE /files/{}'];
    operations.push('POST /batches', 'GET /batches', 'GET /batches/{}', 'POST /batches/{}/cancel');
    const names = new Set([...seen.keys()].map((name) => name.replace(/\{[^}]*\}/g, '{}')));
    const files = [...new Set([...Object.values(dated), 'azure-v1-batch-files.json', 'openai-files-batches.json'])];
    const missing = files.flatMap((file) => operations.map((one) => `${file} ${one}`)).filter((name) => !names.has(name));
    assert.deepEqual(missing, []);
  });

  it('filters, expiries and metadata were among them', () => {
    const has = (text) => calls.some((call) => JSON.stringify(call).includes(text));
    for (const text of ['$filter', '$orderby', 'expires_after.seconds', 'output_expires_after', 'batchd_shard']) assert.ok(has(text), text);
  });

  it('a request that is not as it says would have been noticed', () => {
    const find = (method, tail) => calls.find((call) => call.method === method && call.path.endsWith(tail) && call.status < 300);
    const create = find('POST', '/batches');
    const upload = calls.find((call) => call.method === 'POST' && call.path.endsWith('/files') && call.body.includes('expires_after.seconds'));
    const bent = {
      'a query that is not declared': { ...create, query: { ...create.query, page: '1' } },
      'a member that is not declared': { ...create, body: create.body.replace('"endpoint"', '"end_point"') },
      'a member of another type': { ...create, body: create.body.replace(/"24h"/, '24') },
      'no body': { ...create, body: '' },
      'another content type': { ...create, headers: { ...create.headers, 'content-type': 'text/plain' } },
      'an expiry of an hour': { ...upload, body: upload.body.replace(/\b2592000\b/, '7') },
      'another purpose': { ...upload, body: upload.body.replace('\r\nbatch\r\n', '\r\nfun\r\n') },
    };
    for (const [what, call] of Object.entries(bent)) {
      let faults;
      try {
        ({ faults } = judged({ ...call, length: 0 }));
      } catch (error) {
        faults = [error.message];
      }
      assert.ok(faults.length > 0, what);
    }
  });
});
