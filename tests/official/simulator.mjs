// A batchd-sim of a test's own on a free port, with its ledger, faults and log. Nothing here knows a dialect or a client.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const deadline = 20_000; // ms; generous, because tests share a busy machine

/// Polls until the condition holds; returns its value.
export async function until(condition, what) {
  const end = Date.now() + deadline;
  while (Date.now() < end) {
    const value = await condition();
    if (value) return value;
    await sleep(5);
  }
  throw new Error(`timed out waiting for ${what}`);
}

const isCall = (line) => /^[A-Z]+ \/\S+ \d+$/.test(line);

const running = new Set();
process.on('exit', () => running.forEach((simulator) => simulator.discard('SIGKILL'))); // a test that failed half-way

export class Simulator {
  static async start(...options) {
    const simulator = new Simulator(options);
    running.add(simulator);
    await until(() => simulator.ended || existsSync(simulator.portFile), 'the simulator to listen');
    if (simulator.ended) throw new Error(`batchd-sim ${options.join(' ')} ended at once: ${simulator.talk}`);
    simulator.origin = `http://127.0.0.1:${readFileSync(simulator.portFile, 'ascii').trim()}`;
    return simulator;
  }

  constructor(options) {
    this.directory = mkdtempSync(join(tmpdir(), 'batchd-official-'));
    this.portFile = join(this.directory, 'port');
    this.talk = '';
    const fixed = ['--port-file', this.portFile, '--dir', this.directory, '--log'];
    this.process = spawn(process.env.BATCHD_SIM ?? 'build/release/batchd-sim', [...fixed, ...options], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.talk += text));
    this.exit = new Promise((resolve) => {
      this.process.on('close', resolve).on('error', (error) => resolve((this.talk += error.message)));
    }).then((code) => ((this.ended = true), code));
  }

  /// Ends it with SIGTERM; it must end with 0 and have complained about nothing, a sanitizer's report included.
  async stop() {
    this.discard('SIGTERM');
    const code = await this.exit;
    const complaints = this.lines().filter((line) => line && !isCall(line) && !line.startsWith('batchd-sim listens on '));
    if (code !== 0 || complaints.length > 0) throw new Error(`batchd-sim ended with ${code}: ${complaints.join('\n')}`);
  }

  discard(signal) {
    this.process.kill(signal);
    rmSync(this.directory, { recursive: true, force: true });
    running.delete(this);
  }

  lines() {
    return this.talk.split('\n');
  }

  /// The API calls it served so far, as `METHOD path status`; it logs a call before it answers.
  calls() {
    return this.lines().filter(isCall);
  }

  async ledger() {
    const answer = await fetch(`${this.origin}/sim/ledger`);
    return answer.json();
  }

  async fault(rule) {
    const answer = await fetch(`${this.origin}/sim/faults`, { method: 'POST', body: JSON.stringify(rule) });
    if (answer.status !== 200) throw new Error(`fault refused: ${await answer.text()}`);
  }

  async reset() {
    await fetch(`${this.origin}/sim/reset`, { method: 'POST' });
    this.talk = '';
  }
}
