// SPDX-License-Identifier: Apache-2.0
// Hello from C++: streams, exceptions (unwinding), containers, threads.
#include <algorithm>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int thrower(int depth)
{
	if (depth == 0)
		throw std::runtime_error("thrown from the depth");
	return thrower(depth - 1) + 1;
}

int main()
{
	std::map<std::string, int> words{{"hello", 1}, {"world", 2}};
	std::vector<long> sums(4);
	std::vector<std::thread> threads;

	for (auto &[word, number] : words)
		std::cout << word << ' ' << number << '\n';
	try {
		thrower(20);
	} catch (const std::exception &e) {
		std::cout << "caught: " << e.what() << '\n';
	}
	for (int t = 0; t < 4; t++)
		threads.emplace_back([t, &sums] {
			for (long i = 0; i < 100000; i++)
				sums[t] += i ^ t;
		});
	for (auto &t : threads)
		t.join();
	for (long s : sums)
		std::cout << s << '\n';
	return 0;
}
