/* `weir` of the image, which has no shell: runs the bundle on the Node beside it, as bin/weir does elsewhere. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "/usr/lib/weir"

static const char *const FIRST[] = {FOLDER "/node", NODE_FLAGS FOLDER "/weir.mjs"};
enum { FIRST_COUNT = sizeof(FIRST) / sizeof(*FIRST) };

int main(int count, char **given)
{
	const char **arguments = calloc(FIRST_COUNT + count, sizeof(*arguments));

	if (arguments == NULL)
		return 1;
	memcpy(arguments, FIRST, sizeof(FIRST));
	for (int i = 1; i < count; i++)
		arguments[FIRST_COUNT + i - 1] = given[i];
	setenv("MALLOC_ARENA_MAX", "1", 0);
	execv(FIRST[0], (char **)arguments);
	fprintf(stderr, "weir: Cannot run %s: %s\n", FIRST[0], strerror(errno));
	return 1;
}
