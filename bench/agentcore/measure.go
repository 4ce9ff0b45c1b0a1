//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore/types"

	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/internal/awsbody"
)

// bench is a server and what its clients need.
type bench struct {
	server   *agentcore.Server
	key      agentcore.Key
	endpoint string
	stop     context.CancelFunc
	served   chan error
}

func (b *bench) close() error {
	b.stop()
	return <-b.served
}

// client is an SDK client with one attempt for each call: what fails shall be
// seen.
type client struct {
	sdk  *sdk.Client
	http *http.Transport
}

func (b *bench) client() client {
	h := http.DefaultTransport.(*http.Transport).Clone()
	return client{sdk.New(sdk.Options{
		Region: "us-west-2", BaseEndpoint: &b.endpoint, RetryMaxAttempts: 1,
		HTTPClient:  awsbody.Client{Next: &http.Client{Transport: h}}, // else an answer is lost now and then on a busy machine
		Credentials: credentials.NewStaticCredentialsProvider(b.key.ID, b.key.Secret, ""),
	}), h}
}

// close lets its connections go, so that what is left over is a leak.
func (c client) close() { c.http.CloseIdleConnections() }

var interpreter = aws.String(agentcore.SystemInterpreter)

func (c client) start(ctx context.Context) (string, error) {
	out, err := c.sdk.StartCodeInterpreterSession(ctx, &sdk.StartCodeInterpreterSessionInput{CodeInterpreterIdentifier: interpreter})
	if err != nil {
		return "", err
	}
	return *out.SessionId, nil
}

func (c client) end(ctx context.Context, id string) error {
	_, err := c.sdk.StopCodeInterpreterSession(ctx, &sdk.StopCodeInterpreterSessionInput{CodeInterpreterIdentifier: interpreter, SessionId: &id})
	return err
}

// invoke returns the one result of a call.
func (c client) invoke(ctx context.Context, id string, tool types.ToolName, args *types.ToolArguments) (*types.CodeInterpreterResult, error) {
	out, err := c.sdk.InvokeCodeInterpreter(ctx, &sdk.InvokeCodeInterpreterInput{
		CodeInterpreterIdentifier: interpreter, SessionId: &id, Name: tool, Arguments: args,
	})
	if err != nil {
		return nil, err
	}
	stream := out.GetStream()
	defer stream.Close()
	var res *types.CodeInterpreterResult
	for e := range stream.Events() {
		if r, ok := e.(*types.CodeInterpreterStreamOutputMemberResult); ok {
			res = &r.Value
		}
	}
	switch err := stream.Err(); {
	case err != nil:
		return nil, err
	case res == nil:
		return nil, fmt.Errorf("%s: no result", tool)
	case aws.ToBool(res.IsError):
		return nil, fmt.Errorf("%s: %s", tool, aws.ToString(res.Content[0].Text))
	}
	return res, nil
}

// python runs code and checks what it prints.
func (c client) python(ctx context.Context, id, code, want string) error {
	res, err := c.invoke(ctx, id, types.ToolNameExecuteCode, &types.ToolArguments{Code: &code, Language: types.ProgrammingLanguagePython})
	if err != nil {
		return err
	}
	if got := *res.StructuredContent.Stdout; got != want {
		return fmt.Errorf("%.60q prints %.60q, want %.60q", code, got, want)
	}
	return nil
}

// report prints percentiles of durations.
func report(what string, took []time.Duration) {
	slices.Sort(took)
	at := func(p int) time.Duration { return took[min(len(took)-1, len(took)*p/100)].Round(10 * time.Microsecond) }
	fmt.Printf("%-44s p50 %v  p90 %v  p99 %v  (%d)\n", what, at(50), at(90), at(99), len(took))
}

func (b *bench) measureStarts(ctx context.Context, n int) error {
	c := b.client()
	defer c.close()
	var took []time.Duration
	for i := range n + 3 {
		begin := time.Now()
		id, err := c.start(ctx)
		if err != nil {
			return err
		}
		if i >= 3 { // the first ones open connections
			took = append(took, time.Since(begin))
		}
		if err := c.python(ctx, id, "import pandas; print(pandas.Series([1, 2]).sum())", "3"); err != nil {
			return err
		}
		if err := c.end(ctx, id); err != nil {
			return err
		}
	}
	report("start a session, pandas imported", took)
	return nil
}

func (b *bench) measureCalls(ctx context.Context, n int) error {
	c := b.client()
	defer c.close()
	id, err := c.start(ctx)
	if err != nil {
		return err
	}
	var took []time.Duration
	for i := range n + 20 {
		begin := time.Now()
		if err := c.python(ctx, id, "print(6*7)", "42"); err != nil {
			return err
		}
		if i >= 20 {
			took = append(took, time.Since(begin))
		}
	}
	report("executeCode on a warm session", took)
	return c.end(ctx, id)
}

const fileSize = 100_000_000

func (b *bench) measureFiles(ctx context.Context, rounds int) error {
	c := b.client()
	defer c.close()
	id, err := c.start(ctx)
	if err != nil {
		return err
	}
	data := make([]byte, fileSize)
	_, _ = rand.Read(data) // never fails
	var up, down []time.Duration
	var cpuUp, cpuDown time.Duration
	for range rounds {
		begin, cpu := time.Now(), processorTime()
		_, err := c.invoke(ctx, id, types.ToolNameWriteFiles, &types.ToolArguments{Content: []types.InputContentBlock{{Path: aws.String("big.bin"), Blob: data}}})
		if err != nil {
			return err
		}
		up = append(up, time.Since(begin))
		cpuUp += processorTime() - cpu
		begin, cpu = time.Now(), processorTime()
		res, err := c.invoke(ctx, id, types.ToolNameReadFiles, &types.ToolArguments{Paths: []string{"big.bin"}})
		if err != nil {
			return err
		}
		down = append(down, time.Since(begin))
		cpuDown += processorTime() - cpu
		if !bytes.Equal(res.Content[0].Resource.Blob, data) {
			return fmt.Errorf("the file came back different")
		}
	}
	reportFiles("a file of 100 MB up (writeFiles)", up, cpuUp)
	reportFiles("a file of 100 MB down (readFiles)", down, cpuDown)
	return c.end(ctx, id)
}

// reportFiles prints rates, and what a file cost the client and the server
// together: on a busy machine that says more.
func reportFiles(what string, took []time.Duration, cpu time.Duration) {
	slices.Sort(took)
	rate := func(d time.Duration) float64 { return fileSize / 1e6 / d.Seconds() }
	fmt.Printf("%-44s %.0f MB/s median, %.0f MB/s best, %v of processor time for each\n", what,
		rate(took[len(took)/2]), rate(took[0]), (cpu / time.Duration(len(took))).Round(time.Millisecond))
}

// processorTime is what this process has used: the clients and the server.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// usage is what a leak would show in.
type usage struct{ goroutines, descriptors, processes, rss int }

func measureUsage() usage {
	fds, _ := os.ReadDir("/proc/self/fd")
	u := usage{goroutines: runtime.NumGoroutine(), descriptors: len(fds)}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			u.rss = kb >> 10
		}
	}
	self := "/" + strconv.Itoa(os.Getpid()) + "/"
	entries, _ := os.ReadDir("/proc")
	parents := map[string]string{}
	for _, e := range entries {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err == nil {
			fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
			parents[e.Name()] = fields[1]
		}
	}
	for pid := range parents {
		for p := pid; p != "" && p != "0"; p = parents[p] {
			if "/"+parents[p]+"/" == self {
				u.processes++
			}
		}
	}
	return u
}

// load keeps the sessions busy, each by one client at a time.
func (b *bench) load(ctx context.Context, sessions, clients int, length time.Duration) error {
	before := measureUsage()
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	var calls, failures atomic.Int64
	note := func(err error) {
		if err != nil {
			if failures.Add(1) <= 5 {
				fmt.Fprintln(os.Stderr, "failed:", err)
			}
		}
	}
	peak := make(chan usage, 1)
	time.AfterFunc(length/2, func() { peak <- measureUsage() })
	for n := range clients {
		all.Go(func() {
			mine := b.work(ctx, sessions/clients, n, note, &calls)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	all.Wait()
	at := <-peak
	if len(took) == 0 {
		return fmt.Errorf("no call was done")
	}
	report(fmt.Sprintf("a call, %d sessions, %d clients", sessions, clients), took)
	fmt.Printf("%-44s %d calls, %.0f/s, %d failed\n", "in all", calls.Load(), float64(calls.Load())/length.Seconds(), failures.Load())
	after := settle(before)
	fmt.Printf("%-44s %+v\n%-44s %+v\n%-44s %+v\n", "before", before, "in the middle", at, "after", after)
	if failures.Load() > 0 || after.processes > before.processes || b.server.Open() != 0 {
		return fmt.Errorf("%d calls failed, %d processes and %d sessions are left over", failures.Load(), after.processes-before.processes, b.server.Open())
	}
	return nil
}

// settle waits until what closes by itself has closed.
func settle(before usage) usage {
	after := measureUsage()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && after.processes > before.processes; after = measureUsage() {
		time.Sleep(100 * time.Millisecond)
	}
	return after
}

// work is one client: it opens its sessions, and calls one after the other
// until ctx ends.
func (b *bench) work(ctx context.Context, sessions, n int, note func(error), calls *atomic.Int64) (took []time.Duration) {
	c := b.client()
	defer c.close()
	var ids []string
	// What has begun is finished, so that an end of the time is no failure.
	always := context.WithoutCancel(ctx)
	for range sessions {
		id, err := c.start(always)
		if err != nil {
			note(err)
			return nil
		}
		ids = append(ids, id)
	}
	for i := 0; ctx.Err() == nil; i++ {
		k := i % len(ids)
		begin := time.Now()
		note(c.step(always, ids[k], fmt.Sprintf("%d-%d", n, k), i/len(ids)))
		calls.Add(1)
		took = append(took, time.Since(begin))
	}
	for _, id := range ids {
		note(c.end(always, id))
	}
	return took
}

// step is one of the things that agents do.
func (c client) step(ctx context.Context, id, name string, i int) error {
	switch i % 5 {
	case 0:
		return c.python(ctx, id, "name = '"+name+"'; print(name)", name)
	case 1:
		return c.python(ctx, id, "import pandas as pd; df = pd.DataFrame({'a': range(1000)}); print(name, df.a.sum())", name+" 499500")
	case 2:
		_, err := c.invoke(ctx, id, types.ToolNameWriteFiles, &types.ToolArguments{Content: []types.InputContentBlock{{Path: aws.String("f.txt"), Text: &name}}})
		return err
	case 3:
		res, err := c.invoke(ctx, id, types.ToolNameReadFiles, &types.ToolArguments{Paths: []string{"f.txt"}})
		if err == nil && aws.ToString(res.Content[0].Resource.Text) != name {
			return fmt.Errorf("another session's file: %v", res.Content[0].Resource)
		}
		return err
	}
	return c.python(ctx, id, "print(name)", name)
}
