// SPDX-License-Identifier: Apache-2.0
// Threads of node that share memory, messages between them, child processes, and a server.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync, spawnSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

if (!isMainThread) {
	const counter = new Int32Array(workerData.shared);
	for (let i = 0; i < 10000; i++)
		Atomics.add(counter, 0, 1);
	parentPort.on('message', (n) => {
		parentPort.postMessage(n * n);
		parentPort.close();
	});
} else {
	main();
}

async function main() {
	const shared = new SharedArrayBuffer(4);
	const squares = await Promise.all([1, 2, 3, 4].map((n) => new Promise((resolve, reject) => {
		const worker = new Worker(__filename, { workerData: { shared } });
		let answer;
		worker.on('message', (m) => { answer = m; });
		worker.on('error', reject);
		worker.on('exit', (code) => resolve([answer, code]));
		worker.postMessage(n);
	})));
	console.log(JSON.stringify(squares), new Int32Array(shared)[0]);
	console.log(execFileSync('/bin/seq', ['3']).toString().trim().split('\n').join(','));
	const done = spawnSync('/bin/sh', ['-c', 'cat; exit 5'], { input: 'through a child' });
	console.log(done.stdout.toString(), done.status);
	fs.writeFileSync('/root/node.txt', 'x'.repeat(100000));
	console.log(crypto.createHash('sha256').update(fs.readFileSync('/root/node.txt')).digest('hex'));
	fs.unlinkSync('/root/node.txt');
	const key = await new Promise((resolve, reject) =>
		crypto.pbkdf2('a', 'b', 10000, 16, 'sha256', (e, k) => (e ? reject(e) : resolve(k))));
	console.log(key.toString('hex'));
	const server = http.createServer((q, a) => a.end('served ' + q.url));
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	const body = await new Promise((resolve, reject) =>
		http.get({ port: server.address().port, host: '127.0.0.1', path: '/x', agent: false }, (r) => {
			let text = '';
			r.on('data', (d) => { text += d; });
			r.on('end', () => resolve(text));
		}).on('error', reject));
	console.log(body);
	server.close();
	process.exitCode = 3;
}
