// SPDX-License-Identifier: Apache-2.0
// Threads of Java: pools, locks, a collected heap, files, processes by ProcessBuilder, sockets.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;

public class Threads {
	public static void main(String[] args) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(8);
		ConcurrentHashMap<Integer, Integer> map = new ConcurrentHashMap<>();
		AtomicLong sum = new AtomicLong();
		List<Future<Integer>> futures = new ArrayList<>();
		for (int i = 0; i < 64; i++) {
			final int n = i;
			futures.add(pool.submit(() -> {
				for (int k = 0; k < 1000; k++) {
					map.merge(k % 10, 1, Integer::sum);
					sum.addAndGet(n);
				}
				return n * n;
			}));
		}
		int squares = 0;
		for (Future<Integer> f : futures)
			squares += f.get();
		pool.shutdown();
		System.out.println(squares + " " + sum + " " + map);
		System.out.println(LongStream.range(0, 1000000).parallel().map(x -> x * 3).sum());
		List<byte[]> kept = new ArrayList<>();
		for (int i = 0; i < 2000; i++) {
			byte[] garbage = new byte[100000];
			if (i % 100 == 0)
				kept.add(garbage);
		}
		System.gc();
		System.out.println(kept.size());
		Path file = Path.of("/root/java.txt");
		Files.writeString(file, "line\n".repeat(1000));
		System.out.println(Files.readAllLines(file).size());
		Files.delete(file);
		Process p = new ProcessBuilder("/bin/sh", "-c", "read x; echo got $x; exit 6").start();
		try (PrintStream in = new PrintStream(p.getOutputStream())) {
			in.println("this");
		}
		try (BufferedReader out = new BufferedReader(new InputStreamReader(p.getInputStream()))) {
			System.out.println(out.readLine() + " " + p.waitFor());
		}
		try (ServerSocket server = new ServerSocket(0)) {
			Thread t = new Thread(() -> {
				try (Socket s = server.accept()) {
					s.getOutputStream().write("over a socket".getBytes());
				} catch (Exception e) {
					System.out.println(e);
				}
			});
			t.start();
			try (Socket s = new Socket("127.0.0.1", server.getLocalPort())) {
				System.out.println(new String(s.getInputStream().readAllBytes()));
			}
			t.join();
		}
		Object lock = new Object();
		int[] turn = {0};
		Thread[] threads = new Thread[2];
		for (int i = 0; i < 2; i++) {
			final int me = i;
			threads[i] = new Thread(() -> {
				synchronized (lock) {
					for (int k = 0; k < 100; k++) {
						try {
							while (turn[0] % 2 != me)
								lock.wait();
						} catch (InterruptedException e) {
							return;
						}
						turn[0]++;
						lock.notifyAll();
					}
				}
			});
			threads[i].start();
		}
		for (Thread t : threads)
			t.join();
		System.out.println(turn[0]);
		try {
			deep(0);
		} catch (StackOverflowError e) {
			System.out.println("stack overflow caught");
		}
		try {
			System.out.println(((String) null).length());
		} catch (NullPointerException e) {
			System.out.println("null caught");
		}
		System.exit(4);
	}

	static int deep(int n) {
		return deep(n + 1) + 1;
	}
}
