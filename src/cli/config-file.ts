import { readFileSync, watchFile } from 'node:fs';
import { type FileSettings, readConfigFile } from '#config/kube-proxy-file.ts';
import { failure, type Result } from '#lib/result.ts';

/** Time between looks at the file, ms. A ConfigMap changes by another link, which no watch of the file sees. */
const LOOK_MS = 2000;

/** A configuration file as it was read. */
export interface ConfigFile {
  readonly settings: Result<FileSettings>;
  /** Calls back once when the file says something else than when it was read; not when it is gone for a while, or cannot be read. */
  watch(changed: () => void): void;
}

/** Reads kube-proxy's configuration file. */
export function readConfig(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { settings: failure(`Cannot read the file that --config names: ${(error as Error).message}`), watch: () => {} };
  }
  return {
    settings: readConfigFile(path, text),
    watch(changed) {
      let isOver = false;
      const look = (): void => {
        if (isOver || !saysOther(path, text)) return;
        isOver = true;
        changed();
      };
      watchFile(path, { interval: LOOK_MS, persistent: false }, look);
      look();
    },
  };
}

function saysOther(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8') !== text;
  } catch {
    return false;
  }
}
