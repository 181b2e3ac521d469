/* squares.cc - lambdas, exceptions and streams by mppool.hpp
 *
 * SPDX-License-Identifier: MIT
 *
 * c++ squares.cc $(pkg-config --cflags --libs mppool) */
#include <mppool.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

int main()
{
	const std::vector<std::string> words = {"pool", "of", "workers"};
	const std::vector<int> xs = {1, 2, -3, 4};
	mpp::pool pool(2);

	auto later = pool.apply_async([](int a, int b) { return a * b; }, 6, 7);
	for (std::size_t n : pool.map([](const std::string &word) { return word.size(); }, words))
		std::printf("%zu ", n);
	std::printf("%d\n", later.get());

	auto squares = pool.imap([](int x) { return x < 0 ? throw std::domain_error("negative") : x * x; }, xs);
	while (squares.next())
		try {
			std::printf("%d\n", squares.value());
		} catch (const std::domain_error &e) {
			std::printf("item %zu: %s\n", squares.index(), e.what());
		}
}
