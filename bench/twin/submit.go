package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
)

// submit writes the answers of the code arm, or of the tools arm when there is
// no other, in the form that the Data Agent Benchmark's board takes.
func (r *Report) submit(path string) error {
	type answer struct {
		Dataset string `json:"dataset"`
		Query   string `json:"query"`
		Run     string `json:"run"`
		Answer  string `json:"answer"`
	}
	arm := armTools
	for _, row := range r.Rows {
		if row.Arm == armCode {
			arm = armCode
		}
	}
	answers := []answer{}
	for _, row := range r.Rows {
		if row.Arm == arm {
			_, query, _ := strings.Cut(row.Task, "/")
			answers = append(answers, answer{row.Set, query, strconv.Itoa(row.Trial), row.Answer})
		}
	}
	raw, err := json.MarshalIndent(answers, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
