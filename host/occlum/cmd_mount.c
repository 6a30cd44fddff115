// SPDX-License-Identifier: Apache-2.0
/* `occlum mount`: becomes occlum-mount, the server, which alone needs the FUSE library. */
#include <errno.h>
#include <unistd.h>

#include "host/occlum/command.h"
#include "host/occlum/instance.h"
#include "host/occlum/place.h"
#include "host/occlum/report.h"

int command_mount(int argc, char **argv)
{
	if (argc < 2)
		return complain("the path to mount at is missing");
	if (instance_need_built() || place_find())
		return 1;
	execv(place_of(PIECE_MOUNT), argv);
	return complain_errno(errno, "cannot run '%s'", place_of(PIECE_MOUNT));
}
