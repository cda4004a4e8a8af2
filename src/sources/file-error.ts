/** The reason in an error of node:fs or child_process, such as `no such file or directory`, without code and path. */
export function describeFileError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return message.replace(`${code}: `, '').replace(/, \w+( '.*)?$/, '');
}
