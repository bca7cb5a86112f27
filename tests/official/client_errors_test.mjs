// What the official client makes of the simulator's refusals and faults, in each dialect: its error classes, and its retries,
// which must be the ones that it makes against the real services.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';

import { dialects, inputFile, key, openai, version } from './dialects.mjs';
import { Simulator, until } from './simulator.mjs';

const limit = { timeout: 60_000 };
const { toFile } = openai;

/// Asserts that it fails with an error of exactly this class and status; returns the error.
async function refusal(promise, kind, status) {
  const error = await promise.then(() => assert.fail('it succeeded'), (failure) => failure);
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.status, status);
  return error;
}

// Side by side, because most of the time goes by in the client's own waits.
describe(`openai ${version}, when things go wrong`, { concurrency: dialects.length }, () => {
  for (const dialect of dialects) {
    describe(dialect.name, { concurrency: 1 }, () => {
      let simulator, client, impatient;
      before(async () => {
        simulator = await Simulator.start('--fast', '--api-key', key);
        client = dialect.client(simulator);
        impatient = dialect.client(simulator, { maxRetries: 0 });
      });
      after(() => simulator.stop());
      afterEach(() => simulator.reset());

      const upload = async (name = 'in.jsonl') =>
        client.files.create({ purpose: 'batch', file: await toFile(Buffer.from(inputFile(dialect, ['hello'])), name) });
      const wish = (file, more) => ({ input_file_id: file.id, endpoint: dialect.endpoint, completion_window: '24h', ...more });
      const completed = async () => {
        const batch = await client.batches.create(wish(await upload()));
        await until(async () => (await client.batches.retrieve(batch.id)).status === 'completed', 'the batch to be completed');
        return batch;
      };

      it('raises NotFoundError for a batch and a file that are not there', limit, async () => {
        const errors = [
          await refusal(client.batches.retrieve('batch_nobody'), openai.NotFoundError, 404),
          await refusal(client.batches.cancel('batch_nobody'), openai.NotFoundError, 404),
          await refusal(client.files.retrieve('file-nobody'), openai.NotFoundError, 404),
          await refusal(client.files.content('file-nobody'), openai.NotFoundError, 404),
          await refusal(client.files.delete('file-nobody'), openai.NotFoundError, 404),
        ];
        for (const error of errors) assert.match(error.message, /404 No (batch found with id|such File object)/);
        if (dialect.azure) assert.equal(errors[0].code, 'notFound');
      });

      it('raises NotFoundError when a file is deleted a second time', limit, async () => {
        const { id } = await upload();
        await client.files.delete(id);
        await refusal(client.files.delete(id), openai.NotFoundError, 404);
      });

      it('raises BadRequestError for a create and an upload that break a rule, and the ledger says which', limit, async () => {
        const file = await upload();
        await refusal(client.batches.create(wish(file, { endpoint: '/v1/nothing' })), openai.BadRequestError, 400);
        await refusal(client.batches.create(wish(file, { metadata: { n: 7 } })), openai.BadRequestError, 400);
        await refusal(client.batches.create(wish(file, { priority: 'high' })), openai.BadRequestError, 400);
        await refusal(client.batches.list({ limit: 101 }), openai.BadRequestError, 400);
        await refusal(upload('in.txt'), openai.BadRequestError, 400);
        const { violations, batches_created: created } = await simulator.ledger();
        assert.equal(violations.length, 5, violations.join('\n'));
        assert.equal(created, 0);
      });

      it('raises BadRequestError for a file that does not exist, which is no broken rule', limit, async () => {
        const error = await refusal(client.batches.create(wish({ id: 'file-nobody' })), openai.BadRequestError, 400);
        assert.match(error.message, /Cannot find file/);
        assert.equal((await simulator.ledger()).violation_count, 0);
      });

      it('raises ConflictError for the cancel of a batch that is over, after two retries as of any 409', limit, async () => {
        const batch = await completed();
        await refusal(impatient.batches.cancel(batch.id), openai.ConflictError, 409);
        assert.deepEqual((await simulator.ledger()).answers.cancel, { 409: 1 });
        await refusal(client.batches.cancel(batch.id), openai.ConflictError, 409);
        assert.deepEqual((await simulator.ledger()).answers.cancel, { 409: 4 });
      });

      it('raises AuthenticationError for a key that is not the key, and does not try again', limit, async () => {
        const stranger = dialect.client(simulator, { apiKey: 'guessed' });
        const error = await refusal(stranger.batches.list().then(), openai.AuthenticationError, 401);
        assert.equal(error.code, dialect.azure ? 'unauthorized' : 'invalid_api_key');
        assert.deepEqual((await simulator.ledger()).answers.list, { 401: 1 });
      });

      it('raises PermissionDeniedError, RateLimitError and InternalServerError', limit, async () => {
        for (const [fault, kind, status] of [
          ['403', openai.PermissionDeniedError, 403],
          ['429', openai.RateLimitError, 429],
          ['500_before', openai.InternalServerError, 500],
          ['503', openai.InternalServerError, 503],
          ['502_html', openai.InternalServerError, 502],
        ]) {
          await simulator.fault({ operation: 'retrieve', fault });
          await refusal(impatient.batches.retrieve('batch_nobody'), kind, status);
        }
      });

      it('makes up for 429 by waiting as long as retry-after-ms asks', limit, async () => {
        await simulator.fault({ operation: 'upload', fault: '429', times: 2, retry_after_ms: '150' });
        const begun = performance.now();
        await upload();
        assert.ok(performance.now() - begun >= 300);
        const { answers, files_uploaded: uploaded } = await simulator.ledger();
        assert.deepEqual(answers.upload, { 429: 2, [dialect.uploadStatus]: 1 });
        assert.equal(uploaded, 1);
      });

      it('makes up for 429 with a retry-after of one second', limit, async () => {
        await simulator.fault({ operation: 'list', fault: '429', retry_after: '1' });
        const begun = performance.now();
        await client.batches.list();
        assert.ok(performance.now() - begun >= 1000);
      });

      it('makes up for a 500, an HTML 502 and a reset connection without being told when to come back', limit, async () => {
        const file = await upload();
        for (const fault of ['500_before', '502_html', 'reset_before']) {
          await simulator.fault({ operation: 'file', fault });
          assert.equal((await client.files.retrieve(file.id)).id, file.id);
        }
        assert.deepEqual((await simulator.ledger()).answers.file, { 0: 1, 200: 3, 500: 1, 502: 1 });
      });

      it('posts again when the answer to a create was lost, and makes two batches; batchd looks first', limit, async () => {
        const file = await upload();
        await simulator.fault({ operation: 'create_batch', fault: 'reset_after' });
        await client.batches.create(wish(file));
        const { batches_created: created, inputs_used_again: again } = await simulator.ledger();
        assert.deepEqual({ created, again }, { created: 2, again: 1 });
      });

      it('raises APIConnectionTimeoutError when no answer comes', limit, async () => {
        await simulator.fault({ operation: 'list', fault: 'hang' });
        await refusal(impatient.batches.list({}, { timeout: 200 }).then(), openai.APIConnectionTimeoutError, undefined);
      });

      it('notices a download that is cut short', limit, async () => {
        const file = await upload();
        await simulator.fault({ operation: 'download', fault: 'truncate' });
        await assert.rejects(client.files.content(file.id).then((answer) => answer.text()));
        assert.equal(await (await client.files.content(file.id)).text(), inputFile(dialect, ['hello']));
      });
    });
  }
});
