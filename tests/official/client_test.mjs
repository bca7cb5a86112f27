// The whole life of batches as users of the official client drive it, in each dialect, against the simulator at its strictest.
// After each test the ledger must know of no rule that the client broke.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';

import { dialects, inputFile, key, linesOf, openai, version } from './dialects.mjs';
import { Simulator, until } from './simulator.mjs';

const { AzureOpenAI, toFile } = openai;
const limit = { timeout: 60_000 };
const terminal = ['completed', 'failed', 'expired', 'cancelled'];

const upload = (client, dialect, prompts = ['hello']) =>
  toFile(Buffer.from(inputFile(dialect, prompts)), 'in.jsonl').then((file) => client.files.create({ purpose: 'batch', file }));

const create = (client, dialect, file, more) =>
  client.batches.create({ input_file_id: file.id, endpoint: dialect.endpoint, completion_window: '24h', ...more });

const finished = (client, batch) =>
  until(async () => {
    const now = await client.batches.retrieve(batch.id);
    return terminal.includes(now.status) && now;
  }, `batch ${batch.id} to be over`);

const content = async (client, id) => (await client.files.content(id)).text();

/// The simulator's answer begins with the hash of the prompt it answers.
const answers = (line, prompt) =>
  line.response.body.choices[0].message.content.startsWith(`sha256:${createHash('sha256').update(prompt).digest('hex')} `);

for (const dialect of dialects) {
  describe(`openai ${version}, ${dialect.name}`, () => {
    let simulator, client;
    before(async () => {
      simulator = await Simulator.start('--fast', '--api-key', key);
      client = dialect.client(simulator);
    });
    after(() => simulator.stop());
    afterEach(async () => {
      const { violations } = await simulator.ledger();
      await simulator.reset();
      assert.deepEqual(violations, []);
    });

    it('uploads, creates, retrieves, downloads and deletes, and every answer belongs to its prompt', limit, async () => {
      const prompts = ['What is two and two?', 'Zwölf Boxkämpfer 🥊', { prompt: 'not this', kind: '400' }];
      const file = await upload(client, dialect, prompts);
      assert.equal(file.purpose, 'batch');
      assert.equal(file.bytes, Buffer.byteLength(inputFile(dialect, prompts)));
      const made = await create(client, dialect, file, { metadata: { nightly: 'yes' } });
      assert.equal(made.status, 'validating');

      const batch = await finished(client, made);
      assert.equal(batch.status, 'completed');
      assert.deepEqual(batch.request_counts, { total: 3, completed: 2, failed: 1 });
      assert.deepEqual(batch.metadata, { nightly: 'yes' });
      const output = linesOf(await content(client, batch.output_file_id));
      assert.deepEqual(output.map((line) => line.custom_id).sort(), ['r-0', 'r-1']);
      for (const line of output) assert.ok(answers(line, prompts[Number(line.custom_id.slice(2))]), JSON.stringify(line));
      const [failure] = linesOf(await content(client, batch.error_file_id));
      assert.equal(failure.custom_id, 'r-2');
      assert.equal(failure.response.status_code, 400);

      for (const id of [file.id, batch.output_file_id, batch.error_file_id]) {
        assert.equal((await client.files.delete(id)).deleted, true);
      }
      assert.deepEqual((await client.files.list()).data, []);
    });

    it('uploads the very bytes of a file of 3 MB, from a read stream and of unknown length', limit, async () => {
      const path = join(simulator.directory, 'big.jsonl');
      const text = inputFile(dialect, Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(10_000)}`));
      writeFileSync(path, text);
      const whole = createReadStream(path);
      const streamed = openai.toStreamingFile(createReadStream(path), 'big.jsonl', { type: 'application/jsonl' });
      for (const file of [whole, streamed]) {
        const { id } = await client.files.create({ purpose: 'batch', file });
        assert.equal(await content(client, id), text);
      }
    });

    it('lists batches page by page, over four pages, each once and the newest first', limit, async () => {
      const file = await upload(client, dialect);
      const made = [];
      for (let i = 0; i < 7; ++i) made.unshift((await create(client, dialect, file)).id);
      const listed = [];
      for await (const batch of client.batches.list({ limit: 2 })) listed.push(batch.id);
      assert.deepEqual(listed, made);
      const sizes = [];
      for await (const page of (await client.batches.list({ limit: 2 })).iterPages()) sizes.push(page.data.length);
      assert.deepEqual(sizes, [2, 2, 2, 1]);
      assert.equal((await simulator.ledger()).calls.list, 8);
    });

    it('lists files as the dialect pages them', limit, async () => {
      const made = [];
      for (let i = 0; i < 7; ++i) made.unshift((await upload(client, dialect)).id);
      const listed = [];
      for await (const file of client.files.list({ limit: 2, purpose: 'batch' })) listed.push(file.id);
      // The dated documents have no `has_more` among a file list's members, so the client takes its first page for the whole
      // list; 2024-10-21 has no `limit` either, so there it is the whole list.
      const { cursor, cut } = dialect.fileList;
      assert.deepEqual(listed, cut ? made.slice(0, 2) : made);
      assert.equal((await simulator.ledger()).calls.files, cursor ? 4 : 1);
      if (!cut) return;
      assert.deepEqual((await client.files.list({ limit: 2, after: made[1] })).data.map((file) => file.id), made.slice(2, 4));
    });

    it('filters and orders lists of batches', { ...limit, skip: !dialect.filters && 'only in previews of Azure' }, async () => {
      const file = await upload(client, dialect);
      const made = [];
      for (let i = 0; i < 3; ++i) made.push((await finished(client, await create(client, dialect, file))).id);
      const listed = async (query) => (await client.batches.list({}, { query })).data.map((batch) => batch.id);
      assert.deepEqual(await listed({ $orderby: 'created_at asc' }), made);
      assert.deepEqual(await listed({ $filter: "created_at gt 1 and status eq 'Completed'" }), [...made].reverse());
      assert.deepEqual(await listed({ $filter: "status eq 'Failed'" }), []);
    });

    it('asks that files expire', { ...limit, skip: !dialect.shortestExpiry && 'not in 2024-10-21' }, async () => {
      const expiry = { anchor: 'created_at', seconds: dialect.shortestExpiry };
      const file = await client.files.create({
        purpose: 'batch',
        file: await toFile(Buffer.from(inputFile(dialect, ['hello'])), 'in.jsonl'),
        expires_after: expiry,
      });
      assert.equal(file.expires_at, file.created_at + expiry.seconds);
      const batch = await finished(client, await create(client, dialect, file, { output_expires_after: expiry }));
      assert.equal(batch.status, 'completed');
    });

    it('calls nothing but the plain routes of batches and files', limit, async () => {
      const file = await upload(client, dialect);
      const batch = await finished(client, await create(client, dialect, file));
      await client.batches.list();
      await content(client, batch.output_file_id);
      await client.files.delete(file.id);
      const { base, uploadStatus, createStatus } = dialect;
      const calls = [...new Set(await until(() => simulator.calls().length >= 6 && simulator.calls(), 'the log'))];
      assert.deepEqual(calls, [
        `POST ${base}/files ${uploadStatus}`,
        `POST ${base}/batches ${createStatus}`,
        `GET ${base}/batches/${batch.id} 200`,
        `GET ${base}/batches 200`,
        `GET ${base}/files/${batch.output_file_id}/content 200`,
        `DELETE ${base}/files/${file.id} 200`,
      ]);
    });

    it('tells why a batch failed, by line', limit, async () => {
      const text = inputFile(dialect, ['one', 'two']).replace('"r-1"', '"r-0"');
      const file = await client.files.create({ purpose: 'batch', file: await toFile(Buffer.from(text), 'in.jsonl') });
      const batch = await finished(client, await create(client, dialect, file));
      assert.equal(batch.status, 'failed');
      const [error] = batch.errors.data;
      assert.equal(error.code, 'duplicate_custom_id');
      assert.equal(Number(error.line), 2);
      const { violations } = await simulator.ledger();
      assert.equal(violations.length, 1);
      await simulator.reset(); // that one was ours
    });
  });

  describe(`openai ${version}, ${dialect.name}, with batches that take their time`, () => {
    it('cancels a batch and downloads what was answered by then', limit, async () => {
      const times = ['--validating', '0', '--running', '10s', '--cancelling', '50ms'];
      const simulator = await Simulator.start(...times, '--cancelled-lines');
      try {
        const client = dialect.client(simulator);
        const prompts = Array.from({ length: 200 }, (_, i) => `prompt ${i}`);
        const made = await create(client, dialect, await upload(client, dialect, prompts));
        await until(async () => (await client.batches.retrieve(made.id)).request_counts.completed >= 5, 'some answers');
        assert.equal((await client.batches.cancel(made.id)).status, 'cancelling');
        const batch = await finished(client, made);
        assert.equal(batch.status, 'cancelled');
        const output = linesOf(await content(client, batch.output_file_id));
        const rest = linesOf(await content(client, batch.error_file_id));
        assert.ok(output.length >= 5 && output.length < 200, String(output.length));
        assert.equal(output.length + rest.length, 200);
        assert.ok(rest.every((line) => line.error.code === 'batch_cancelled'));
        assert.equal((await simulator.ledger()).violation_count, 0);
      } finally {
        await simulator.stop();
      }
    });

    it('waits for a file to be processed before it makes a batch of it', limit, async () => {
      const simulator = await Simulator.start('--fast', '--file-pending', '300ms');
      try {
        const client = dialect.client(simulator);
        const file = await upload(client, dialect);
        assert.equal(file.status, dialect.azure ? 'pending' : 'processed');
        if (dialect.azure) {
          await assert.rejects(create(client, dialect, file), { status: 400, message: /pending/ });
        }
        const ready = await client.files.waitForProcessing(file.id, { pollInterval: 20 });
        assert.equal(ready.status, 'processed');
        assert.equal((await finished(client, await create(client, dialect, ready))).status, 'completed');
        assert.equal((await simulator.ledger()).violation_count, 0);
      } finally {
        await simulator.stop();
      }
    });
  });
}

describe(`openai ${version}, what AzureOpenAI adds`, () => {
  let simulator;
  before(async () => (simulator = await Simulator.start('--fast')));
  after(() => simulator.stop());
  afterEach(() => simulator.reset());
  const dialect = dialects.find(({ dated }) => dated);
  const made = (options) => new AzureOpenAI({ endpoint: simulator.origin, apiVersion: '2024-10-21', ...options });

  it('shows an Entra token as Bearer, asked of its provider anew for each call', limit, async () => {
    let asked = 0;
    const client = made({ azureADTokenProvider: async () => `token-${++asked}` });
    const file = await upload(client, dialect);
    const batch = await finished(client, await create(client, dialect, file));
    assert.equal(batch.status, 'completed');
    assert.ok(asked >= 3, String(asked));
    assert.equal((await simulator.ledger()).violation_count, 0);
  });

  it('told of a deployment, posts batches below it, which is refused here as it is in Azure', limit, async () => {
    const client = made({ apiKey: key, deployment: 'gpt-4o-mini' });
    const file = await upload(client, dialect);
    await assert.rejects(create(client, dialect, file), openai.NotFoundError);
    const { violations, batches_created: created } = await simulator.ledger();
    assert.deepEqual(violations, ['no such path: POST /openai/deployments/gpt-4o-mini/batches']);
    assert.equal(created, 0);
  });

  it('told of a model\'s version as its api-version, is refused as it is in Azure', limit, async () => {
    const client = made({ apiKey: key, apiVersion: '2024-07-18' });
    await assert.rejects(client.batches.list().then(), (error) => {
      assert.ok(error instanceof openai.NotFoundError);
      assert.equal(error.code, '404');
      return true;
    });
  });
});
