/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sockets.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[512];

static void name_folder(void)
{
	FILE *mounts = setmntent("/proc/mounts", "r");
	struct mntent *entry;

	while (mounts && !folder[0] && (entry = getmntent(mounts)))
		if (strcmp(entry->mnt_type, "cgroup2") == 0)
			snprintf(folder, sizeof(folder), "%.400s/weir-test-%d", entry->mnt_dir, getpid());
	if (!folder[0])
		die("Cannot find a cgroup2 mount");
	endmntent(mounts);
}

static void join(void)
{
	char path[600];
	FILE *processes;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	processes = fopen(path, "w");
	if (!processes || fprintf(processes, "%d", getpid()) < 0 || fclose(processes) != 0)
		die("Cannot join cgroup %s", folder);
}

int run_in_cgroup(int (*body)(void))
{
	int status = 0;
	pid_t child;

	name_folder();
	if (mkdir(folder, 0755) != 0)
		die("Cannot make cgroup %s", folder);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	child = fork();
	if (child == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		join();
		exit(body());
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		fprintf(stderr, "Cannot run the tests in a child process\n");
	if (rmdir(folder) != 0)
		fprintf(stderr, "Cannot remove cgroup %s\n", folder);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

void attach_to_own_cgroup(struct bpf_object *object)
{
	int cgroup = open(folder, O_RDONLY | O_DIRECTORY);
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		if (!bpf_program__attach_cgroup(program, cgroup))
			die("Cannot attach %s to %s", bpf_program__name(program), folder);
	}
	close(cgroup);
}
