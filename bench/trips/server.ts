/** The fake API server of the tests, for an agent in another network namespace. Prints its address; puts the objects of each line of stdin. */
import { createInterface } from 'node:readline';

const [module = ''] = process.argv.slice(2);
const { TestApiServer } = await import(module);
const server = new TestApiServer();
await server.start();
process.stdout.write(`${server.url}\n`);
createInterface({ input: process.stdin })
  .on('line', (line) => {
    for (const object of JSON.parse(line)) server.put(object);
    process.stdout.write('put\n');
  })
  .on('close', () => process.exit());
