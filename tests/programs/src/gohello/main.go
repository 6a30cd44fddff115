// SPDX-License-Identifier: Apache-2.0
// Go's runtime: goroutines, channels, timers, garbage collection, signals for preemption.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"
)

func main() {
	var wait sync.WaitGroup
	results := make(chan string, 64)
	for i := 0; i < 64; i++ {
		wait.Add(1)
		go func(n int) {
			defer wait.Done()
			sum := sha256.Sum256([]byte(strings.Repeat("x", n*1000)))
			results <- fmt.Sprintf("%02d %x", n, sum[:4])
		}(i)
	}
	wait.Wait()
	close(results)
	var lines []string
	for r := range results {
		lines = append(lines, r)
	}
	sort.Strings(lines)
	fmt.Println(strings.Join(lines, "\n"))

	garbage := 0
	for i := 0; i < 200; i++ {
		garbage += len(make([]byte, 1<<18))
	}
	runtime.GC()
	select {
	case <-time.After(20 * time.Millisecond):
		fmt.Println("timer", garbage)
	}
	if err := os.WriteFile("/tmp/go.txt", []byte("written by go"), 0644); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	text, _ := os.ReadFile("/tmp/go.txt")
	fmt.Println(string(text), os.Args[1:])
}
