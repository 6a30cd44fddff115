// SPDX-License-Identifier: Apache-2.0
// Go's os/exec from many goroutines, pipes between children, signals and timeouts.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) > 1 {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			fmt.Println(strings.ToUpper(in.Text()))
		}
		os.Exit(7)
	}
	out, err := exec.Command("/bin/seq", "3").Output()
	check(err)
	fmt.Printf("%q\n", out)

	var group sync.WaitGroup
	results := make([]int, 20)
	for i := range results {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			out, err := exec.Command("/bin/seq", fmt.Sprint(i)).Output()
			check(err)
			results[i] = len(out)
		}(i)
	}
	group.Wait()
	fmt.Println(results)

	self := exec.Command("/proc/self/exe", "upper")
	self.Stdin = strings.NewReader("one\ntwo\n")
	out, err = self.Output()
	fmt.Printf("%q %v\n", out, err)

	first, second := exec.Command("/bin/cat", "/data/text"), exec.Command("/bin/sort", "-u")
	second.Stdin, err = first.StdoutPipe()
	check(err)
	sorted, err := second.StdoutPipe()
	check(err)
	check(first.Start())
	check(second.Start())
	text, err := io.ReadAll(sorted)
	check(err)
	check(second.Wait())
	check(first.Wait())
	fmt.Println(len(text), strings.Count(string(text), "\n"))

	limited, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	fmt.Println(exec.CommandContext(limited, "/bin/sleep", "100").Run())

	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	fmt.Println(<-caught)

	numbers, sums := make(chan int), make(chan int)
	for range [8]int{} {
		go func() {
			sum := 0
			for n := range numbers {
				sum += n
			}
			sums <- sum
		}()
	}
	for n := 0; n < 100000; n++ {
		numbers <- n
	}
	close(numbers)
	total := 0
	for range [8]int{} {
		total += <-sums
	}
	fmt.Println(total)
	missing := exec.Command("/no/such/program").Run()
	fmt.Println(missing)
}
