// SPDX-License-Identifier: Apache-2.0
/* `occlum image`: becomes occlum-image, which has the file systems linked in. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/occlum/command.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"

int command_image(int argc, char **argv)
{
	if (argc < 2)
		return complain("what to do is missing: info, ls, cat, extract, diff, verify, "
				"snapshot, scrub, grow, rotate, to-root, label or keys");
	/* What can be asked for is said anywhere. */
	if (strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0 && instance_need_built())
		return 1;
	if (place_find())
		return 1;
	execv(place_of(PIECE_IMAGE), argv);
	return complain_errno(errno, "cannot run '%s'", place_of(PIECE_IMAGE));
}
