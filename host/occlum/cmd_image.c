// SPDX-License-Identifier: Apache-2.0
/* `occlum image`: becomes occlum-image, which has the file systems linked in. */
#include <errno.h>
#include <unistd.h>

#include "host/occlum/command.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"

int command_image(int argc, char **argv)
{
	if (argc < 2)
		return complain("what to do is missing: info, ls, cat, extract, diff, verify, "
				"snapshot, scrub, grow, rotate or label");
	if (instance_need_built() || place_find())
		return 1;
	execv(place_of(PIECE_IMAGE), argv);
	return complain_errno(errno, "cannot run '%s'", place_of(PIECE_IMAGE));
}
