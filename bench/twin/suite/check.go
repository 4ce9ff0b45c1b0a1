package suite

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// given is what an answer says on its last line that begins with "Answer:";
// markup around it does not count. An answer of one line needs no such word.
func given(answer string) (string, bool) {
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.Trim(strings.TrimSpace(lines[i]), "*_`#> ")
		if rest, ok := strings.CutPrefix(line, "Answer:"); ok {
			return strings.Trim(rest, "*_`\" "), true
		}
	}
	return strings.Trim(strings.TrimSpace(answer), "*_`\" "), len(lines) == 1
}

const noAnswer = `there is no line that begins with "Answer:"`

// number is a task with a number as its answer. Value is not rounded yet.
func number(id, question string, value float64, decimals int) Task {
	form := "the number only, without thousands separators and units"
	if decimals > 0 {
		form = fmt.Sprintf("the number only, rounded to %d decimals, without thousands separators and units", decimals)
	}
	return task(id, question, form, func(got string) (bool, string) {
		x, err := strconv.ParseFloat(got, 64)
		if err != nil {
			return false, fmt.Sprintf("%q is no number", got)
		}
		// A half of the last digit, and what sums of floats may be off by.
		if most := 0.5 * math.Pow10(-decimals) * 1.001; decimals > 0 && math.Abs(x-value) <= most || x == value {
			return true, ""
		}
		return false, fmt.Sprintf("%s is not %.*f", got, decimals, value)
	})
}

// name is a task with a text as its answer.
func name(id, question, want string) Task {
	return task(id, question, "the name only, as the data writes it", func(got string) (bool, string) {
		return strings.EqualFold(got, want), fmt.Sprintf("%q is not %q", got, want)
	})
}

// names is a task with several texts as its answer, in order.
func names(id, question string, want []string) Task {
	return task(id, question, "the names only, separated by commas, in this order", func(got string) (bool, string) {
		parts := strings.Split(got, ",")
		for i := range parts {
			parts[i] = strings.Trim(parts[i], "*_`\"' ")
		}
		clean := strings.Join(parts, ", ")
		return strings.EqualFold(clean, strings.Join(want, ", ")), fmt.Sprintf("%q is not %q", clean, strings.Join(want, ", "))
	})
}

func task(id, question, form string, check func(got string) (bool, string)) Task {
	return Task{
		ID:       id,
		Question: question + "\nEnd with a line that begins with \"Answer:\" and then has " + form + ".",
		Check: func(_ context.Context, answer string) (bool, string, error) {
			got, ok := given(answer)
			if !ok {
				return false, noAnswer, nil
			}
			if ok, why := check(got); !ok {
				return false, why, nil
			}
			return true, "", nil
		},
	}
}
