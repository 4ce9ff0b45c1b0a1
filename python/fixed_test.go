package python

import (
	"testing"
	"time"
)

// draws is what a snippet can learn that is another thing in each run.
const draws = `
import asyncio, datetime, os, random, secrets, tempfile, time, uuid
from datetime import date, datetime as dt, timedelta, timezone
rng = random.Random()
random.seed()
(time.time(), time.time_ns(), time.perf_counter(), time.strftime("%Y-%m-%d"), time.ctime(), dt.now(), dt.now(timezone.utc),
 datetime.datetime.today(), date.today(), random.random(), rng.random(), random.SystemRandom().random(), secrets.token_hex(8),
 uuid.uuid4(), os.urandom(4), isinstance(dt.now() - timedelta(1), dt), type(dt.now()).__name__, {"a", "b", "c", "d", "e", "f"},
 next(tempfile._get_candidate_names()))
`

func TestFixed(t *testing.T) {
	at := time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)
	run := func(i Interpreter, f *Fixed, code string) string {
		s, err := i.Open(t.Context(), Options{Fixed: f, Libraries: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r := mustExec(t, s, code)
		if r.Err != nil {
			t.Fatal(r.Err.Traceback)
		}
		return r.Value
	}
	backends := map[string]func() Interpreter{
		"sandboxed": func() Interpreter { return &Sandboxed{} },
		"exec":      func() Interpreter { return &Exec{} },
	}
	for name, open := range backends {
		t.Run(name, func(t *testing.T) {
			first, second := open(), open() // two interpreters: hashes of strings are seeded by process
			defer first.Close()
			defer second.Close()
			was := run(first, &Fixed{7, at}, draws)
			if is := run(second, &Fixed{7, at}, draws); is != was {
				t.Errorf("the same seed gives\n%s\nand\n%s", was, is)
			}
			if is := run(first, &Fixed{8, at}, draws); is == was {
				t.Error("another seed gives the same")
			}
			if is, again := run(first, nil, draws), run(first, nil, draws); is == again || is == was {
				t.Error("nothing fixed gives the same; this test proves nothing")
			}
			const begins = `import datetime; str(datetime.datetime.now(datetime.timezone.utc))[:19]`
			if got := run(first, &Fixed{7, at}, begins); got != "'2030-06-01 12:00:00'" {
				t.Errorf("the clock begins at %s", got)
			}
			const waits = `import asyncio; await asyncio.sleep(0.01); await asyncio.wait_for(asyncio.sleep(0.01, 5), 1)`
			if got := run(first, &Fixed{7, at}, waits); got != "5" {
				t.Errorf("waiting gives %s", got)
			}
		})
	}
}
