// Every answer of the simulator at its strictest against the providers' own API documents: all operations, all states of a
// batch, all refusals. The official client makes the calls; each answer is judged on its way to it.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { dialects, inputFile, key, linesOf, openai } from './dialects.mjs';
import { ApiDocument, LineSchemas } from './documents.mjs';
import { Simulator, until } from './simulator.mjs';

const limit = { timeout: 60_000 };
const { toFile } = openai;
const deviations = [
  ['--upload-status', '202'],
  ['--create-status', '202'],
  ['--error-style', 'detail'],
  ['--error-style', 'text'],
  ['--error-style', 'html'],
  ['--shape', '{"status": "capital"}'],
  ['--shape', '{"times": "iso"}'],
  ['--shape', '{"set": {"surprise": 1}}'],
  ['--shape', '{"list_key": "value"}'],
  ['--shape', '{"cursor": "in_items"}'],
];
const states = ['validating', 'failed', 'in_progress', 'finalizing', 'completed', 'expired', 'cancelling', 'cancelled'];

/// A fetch that judges every answer, and keeps what it saw: `seen` holds "operation status", `batches` one for each state.
class Witness {
  constructor(dialect, document) {
    this.dialect = dialect;
    this.document = document;
    this.seen = new Set();
    this.batches = new Map();
    this.fileStates = new Set();
    this.faults = [];
  }

  fetch = async (url, init) => {
    const response = await fetch(url, init);
    const method = init?.method?.toUpperCase() ?? 'GET';
    const operation = this.document.operation(method, new URL(url).pathname.slice(this.dialect.base.length));
    if (!operation) throw new Error(`${method} ${url} is not in the document`);
    const answer = { status: response.status, headers: response.headers, text: await response.clone().text() };
    this.seen.add(`${operation.name} ${answer.status}`);
    for (const fault of this.document.judge(operation, answer)) {
      this.faults.push(`${operation.name} ${answer.status}: ${fault} in ${answer.text}`);
    }
    if (response.ok && operation.name !== 'GET /batches' && operation.name.includes(' /batches')) {
      const batch = JSON.parse(answer.text);
      this.batches.set(batch.status, batch);
    }
    if (response.ok && /^(POST .files|GET .files.[^/]+)$/.test(operation.name)) {
      this.fileStates.add(JSON.parse(answer.text).status);
    }
    return response;
  };
}

for (const dialect of dialects) {
  describe(`the answers to ${dialect.name}, by ${dialect.document}`, () => {
    const document = new ApiDocument(dialect.document);
    const witness = new Witness(dialect, document);
    const lines = new LineSchemas();
    let simulators = [];
    const simulator = async (...options) => {
      simulators.push(await Simulator.start(...options));
      return simulators.at(-1);
    };
    const judged = (where, options) => dialect.client(where, { fetch: witness.fetch, maxRetries: 0, ...options });
    afterEach(async () => {
      await Promise.all(simulators.map((one) => one.stop()));
      simulators = [];
      assert.deepEqual(witness.faults.splice(0), []);
    });

    const upload = async (client, text = inputFile(dialect, ['hello']), more) =>
      client.files.create({ purpose: 'batch', file: await toFile(Buffer.from(text), 'in.jsonl'), ...more });
    const create = (client, file, more) =>
      client.batches.create({ input_file_id: file.id, endpoint: dialect.endpoint, completion_window: '24h', ...more });
    const reached = (client, batch, status) =>
      until(async () => {
        const now = await client.batches.retrieve(batch.id);
        return now.status === status && now;
      }, `batch to be ${status}`);

    it('files are as it says: uploaded, with and without an expiry, pending, listed, downloaded, deleted', limit, async () => {
      await upload(judged(await simulator('--fast', '--file-pending', '1h')));
      await upload(judged(await simulator('--fast', '--file-running', '1h')));
      const client = judged(await simulator('--fast'));
      await client.files.list();
      const expiry = dialect.shortestExpiry && { expires_after: { anchor: 'created_at', seconds: dialect.shortestExpiry } };
      const files = [await upload(client), await upload(client, undefined, expiry)];
      await client.files.retrieve(files[0].id);
      assert.deepEqual([...witness.fileStates].sort(), dialect.azure ? ['pending', 'processed', 'running'] : ['processed']);
      for await (const file of client.files.list({ limit: 1 })) assert.ok(file.id);
      await client.files.list({ purpose: 'batch_output' });
      await client.files.content(files[0].id);
      for (const { id } of files) await client.files.delete(id);
    });

    it('batches are as it says in each of their states', limit, async () => {
      const stays = async (status, ...times) => {
        const client = judged(await simulator('--cancelled-lines', ...times));
        const file = await upload(client, inputFile(dialect, ['one', 'two', 'three', 'four']));
        const batch = await create(client, file, { metadata: { shard: '17' } });
        return [client, await reached(client, batch, status)];
      };
      const [client, validating] = await stays('validating', '--validating', '1h', '--cancelling', '1h');
      await client.batches.cancel(validating.id);
      await stays('in_progress', '--validating', '0', '--running', '1h');
      await stays('finalizing', '--validating', '0', '--running', '0', '--finalizing', '1h');
      await stays('completed', '--fast');
      await stays('expired', '--validating', '0', '--running', '200ms', '--window', '100ms');
      const [other, running] = await stays('in_progress', '--validating', '0', '--running', '1h', '--cancelling', '0');
      await other.batches.cancel(running.id);
      await reached(other, running, 'cancelled');
      const file = await upload(other, 'not JSON\n');
      await reached(other, await create(other, file), 'failed');
      assert.deepEqual([...witness.batches.keys()].sort(), [...states].sort());
    });

    it('lists of batches are as it says: empty, page by page, with batches in many states', limit, async () => {
      const client = judged(await simulator('--fast'));
      await client.batches.list();
      const file = await upload(client);
      for (const text of ['not JSON\n', inputFile(dialect, ['x']), inputFile(dialect, [{ prompt: 'y', kind: '500' }]), '']) {
        await create(client, await upload(client, text));
      }
      await create(client, file);
      let count = 0;
      for await (const batch of client.batches.list({ limit: 2 })) count += batch.id ? 1 : 0;
      assert.equal(count, 5);
    });

    it('every refusal is the error object that it declares', limit, async () => {
      const one = await simulator('--fast', '--api-key', key, '--max-files', '2', '--limit', '1', '--quota-mode', 'fast');
      const client = judged(one);
      const refused = (status, promise, message = /./) => assert.rejects(promise, { status, message });
      const file = await upload(client);
      await refused(400, create(client, file), /token_limit_exceeded/);
      await refused(400, create(client, { id: 'file-nobody' }), /Cannot find file/);
      await refused(400, create(client, file, { endpoint: '/v1/nothing' }));
      await refused(400, create(client, file, { metadata: { n: 1 } }));
      await refused(400, create(client, file, { unknown: 'member' }));
      await refused(400, create(client, { id: undefined }));
      await refused(400, upload(client, undefined, { purpose: 'fine-tune' }));
      await refused(400, client.files.create({ purpose: 'batch', file: await toFile(Buffer.from('x'), 'x.txt') }));
      await refused(400, client.batches.list({ limit: 0 }));
      await refused(400, client.batches.list({ after: 'batch_nobody' }));
      await upload(client);
      if (dialect.azure) await refused(400, upload(client), /maximum/);
      await refused(404, client.batches.retrieve('batch_nobody'));
      await refused(404, client.batches.cancel('batch_nobody'));
      await refused(404, client.files.retrieve('file-nobody'));
      await refused(404, client.files.content('file-nobody'));
      await refused(404, client.files.delete('file-nobody'));
      const stranger = judged(one, { apiKey: 'guessed' });
      await refused(401, stranger.batches.retrieve('batch_nobody'));
      await refused(401, stranger.files.list().then());
      await refused(401, upload(stranger));
      for (const fault of ['403', '429', '500_before', '503']) {
        for (const [operation, call] of [
          ['upload', () => upload(client)],
          ['create_batch', () => create(client, file)],
          ['list', () => client.batches.list().then()],
          ['cancel', () => client.batches.cancel('batch_nobody')],
          ['download', () => client.files.content(file.id)],
        ]) {
          await one.fault({ operation, fault, retry_after: '1' });
          await refused(Number.parseInt(fault), call());
        }
      }
    });

    it('the refusals that a state causes are error objects too: a pending file, a batch that is over', limit, async () => {
      const client = judged(await simulator('--fast', '--file-pending', dialect.azure ? '400ms' : '0'));
      const file = await upload(client);
      if (dialect.azure) await assert.rejects(create(client, file), { status: 400 });
      await client.files.waitForProcessing(file.id, { pollInterval: 20 });
      const batch = await create(client, file);
      await reached(client, batch, 'completed');
      await assert.rejects(client.batches.cancel(batch.id), openai.ConflictError);
    });

    it('every line of output and error files is as the line schemas say', limit, async () => {
      const client = judged(await simulator('--fast'));
      const kinds = [undefined, '400', '401', '404', '429', '500', 'expired', 'timeout', 'cancelled'];
      const file = await upload(client, inputFile(dialect, kinds.map((kind) => ({ prompt: 'x', kind }))));
      const batch = await reached(client, await create(client, file), 'completed');
      const files = await Promise.all([batch.output_file_id, batch.error_file_id].map((id) => client.files.content(id)));
      const results = linesOf((await Promise.all(files.map((answer) => answer.text()))).join(''));
      assert.equal(results.length, kinds.length);
      for (const line of results) assert.deepEqual(lines.judge(line), [], JSON.stringify(line));
    });

    it('every operation and every status of it that the document declares was seen', limit, () => {
      const expected = [];
      for (const [template, methods] of Object.entries(document.document.paths)) {
        if (!/^\/(files|batches)/.test(template) || template === '/files/import') continue; // uploads in parts are not served
        for (const [method, { responses }] of Object.entries(methods)) {
          for (const status of Object.keys(responses)) expected.push(`${method.toUpperCase()} ${template} ${status}`);
        }
      }
      const missing = expected.filter((wanted) => ![...witness.seen].some((seen) => fits(seen, wanted)));
      assert.deepEqual(missing, []);
    });

    it('what the simulator does otherwise when it is told to is noticed', limit, async () => {
      for (const options of deviations) {
        const other = new Witness(dialect, document);
        const client = dialect.client(await simulator('--fast', ...options), { fetch: other.fetch, maxRetries: 0 });
        const file = await upload(client);
        await create(client, file);
        await client.batches.list();
        await assert.rejects(client.batches.retrieve('batch_nobody'));
        assert.ok(other.faults.length > 0, `${options.join(' ')} passed`);
      }
    });

    it('an answer that is not as it says would have been noticed', limit, () => {
      const [completed, failed] = ['completed', 'failed'].map((status) => witness.batches.get(status));
      const operation = document.operation('GET', '/batches/batch_1');
      const faults = (body, status = 200, type = 'application/json') =>
        document.judge(operation, { status, headers: new Headers({ 'content-type': type }), text: JSON.stringify(body) });
      assert.deepEqual([...faults(completed), ...faults(failed)], []);
      const [error] = failed.errors.data;
      for (const [what, changed] of Object.entries({
        'a capital letter': { ...completed, status: 'Completed' },
        milliseconds: { ...completed, created_at: completed.created_at * 1000 },
        'a time as text': { ...completed, created_at: '2024-07-19T17:13:57.2491382+00:00' },
        'an unknown member': { ...completed, first_id: 'batch_1' },
        'no id': { ...completed, id: undefined },
        'a number among the metadata': { ...completed, metadata: { n: 1 } },
        'counts as text': { ...completed, request_counts: { total: '4', completed: 0, failed: 0 } },
        'a line of the wrong type': {
          ...failed,
          errors: { object: 'list', data: [{ ...error, line: dialect.dated ? 1 : '1' }] },
        },
      })) {
        assert.ok(faults(changed).length > 0, `${what} passed`);
      }
      assert.ok(faults(completed, 202).length > 0);
      assert.ok(faults(completed, 200, 'text/html').length > 0);
      assert.ok(faults(completed, 404).length > 0);
      assert.ok(faults({ error: { code: 'notFound' } }, 404).length > 0 || dialect.document.includes('azure-v1'));
      assert.ok(lines.judge({ custom_id: 'r-1', response: { status_code: '200' } }).length > 0);
    });
  });
}

/// "GET /batches 404" is a `default` of "GET /batches".
function fits(seen, wanted) {
  if (!wanted.endsWith(' default')) return seen === wanted;
  return seen.startsWith(wanted.replace('default', '')) && Number(seen.slice(-3)) >= 400;
}
