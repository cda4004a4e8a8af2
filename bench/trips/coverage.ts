/**
 * Preloaded into an agent that runs from its sources: counts the functions that run. SIGUSR2 writes the counts since the last signal to the file
 * that TRIP_FILE names and clears them. TRIP_ROOT is the checkout.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector/promises';
import { pathToFileURL } from 'node:url';

const file = process.env.TRIP_FILE ?? '';
const prefix = `${pathToFileURL(process.env.TRIP_ROOT ?? '')}/src/`;
const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });

/** `file function offset` of each function of a script that ran; the code of the module itself is left out. */
const ran = ({ url, functions }: Profiler.ScriptCoverage): string[] =>
  functions.flatMap(({ functionName, ranges: [range] }) =>
    range !== undefined && range.count > 0 && range.startOffset > 0
      ? [`${url.slice(prefix.length)} ${functionName} ${range.startOffset}`]
      : [],
  );

process.on('SIGUSR2', async () => {
  const { result } = (await session.post('Profiler.takePreciseCoverage')) as Profiler.TakePreciseCoverageReturnType;
  writeFileSync(`${file}.new`, JSON.stringify(result.filter(({ url }) => url.startsWith(prefix)).flatMap(ran)));
  renameSync(`${file}.new`, file);
});
