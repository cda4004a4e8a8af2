import { readFileSync, watchFile } from 'node:fs';
import { type FileSettings, readConfigFile } from '#config/kube-proxy-file.ts';
import { failure, type Result } from '#lib/result.ts';

/** Polling interval of the file, ms. A ConfigMap changes by replacing a symbolic link, which a watch of the file does not report. */
const LOOK_MS = 2000;

/** A configuration file and its settings when it was read. */
export interface ConfigFile {
  readonly settings: Result<FileSettings>;
  /** Calls back once when the content differs from the settings. A missing or unreadable file does not count as a change. */
  watch(changed: () => void): void;
}

/** Reads kube-proxy's configuration file. */
export function readConfig(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { settings: failure(`Cannot read the --config file: ${(error as Error).message}`), watch: () => {} };
  }
  return {
    settings: readConfigFile(path, text),
    watch(changed) {
      let isOver = false;
      const look = (): void => {
        if (isOver || !hasChanged(path, text)) return;
        isOver = true;
        changed();
      };
      watchFile(path, { interval: LOOK_MS, persistent: false }, look);
      look();
    },
  };
}

function hasChanged(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8') !== text;
  } catch {
    return false;
  }
}
