# SPDX-License-Identifier: Apache-2.0
"""Writes a script of 1000 lines to stdout: deterministic work over Python's common modules."""
print("import collections, functools, itertools, json, math, re, string, sys, zlib")
print("state = collections.OrderedDict()")
for i in range(1, 249):
    print(f"def f{i}(x, y={i}):")
    print(f"    return (x * {i * 7919 % 1009} + y) % 1000003")
    print(f"state['k{i}'] = functools.reduce(lambda a, b: f{i}(a + b), range({i % 17 + 2}))")
    print(f"assert re.match(r'^k\\d+$', 'k{i}') and math.isqrt({i * i}) == {i}")
print("text = json.dumps(state, sort_keys=True)")
print("print(len(state), zlib.crc32(text.encode()), sum(state.values()))")
print("print(''.join(itertools.islice(itertools.cycle(string.ascii_letters), 60)))")
print("try:")
print("    [][1]")
print("except IndexError as e:")
print("    print('caught', e, file=sys.stdout)")
