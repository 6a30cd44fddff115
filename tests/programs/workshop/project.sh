# SPDX-License-Identifier: Apache-2.0
# A C project of twenty files and a library, built by make -j4 with Debian's gcc. The program's bytes
# are the same wherever it is built.
set -e
rm -rf /root/project
mkdir -p /root/project/src
cd /root/project
i=1
while [ $i -le 20 ]; do
	cat >src/part$i.c <<END
#include "project.h"

int part$i(int n)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", n * $i);
	return (int)strlen(text) + $i;
}
END
	i=$((i + 1))
done
{
	echo '#include <stdio.h>'
	echo '#include <stdlib.h>'
	echo '#include <string.h>'
	for i in $(seq 20); do echo "int part$i(int n);"; done
} >src/project.h
{
	echo '#include "project.h"'
	echo 'int main(void) { int sum = 0;'
	for i in $(seq 20); do echo "sum += part$i(sum);"; done
	echo 'printf("sum %d\n", sum); return sum != 272; }'
} >src/main.c
cat >Makefile <<'END'
CFLAGS := -O2 -Wall -Wextra
PARTS := $(patsubst src/%.c,%.o,$(sort $(wildcard src/part*.c)))

project: main.o libparts.a
	gcc -o $@ $^
libparts.a: $(PARTS)
	ar rcD $@ $^
%.o: src/%.c src/project.h
	gcc $(CFLAGS) -c -o $@ $<
END
touch -d 2020-01-01 src/*
make -s -j4
./project
sha256sum project libparts.a
nm project | grep -c ' T part'
touch src/part7.c
make -j4
make -j4
echo 'int broken(' >src/part3.c
make -s -j4 2>/dev/null || echo "make says $?"
cd /
rm -r /root/project
