package data

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// dateColumns says which columns are formatted as dates, by the first cell of
// each that is not empty: a workbook stores a date as a number. The first row
// of body is called first in the sheet.
func dateColumns(f *excelize.File, sheet string, first int, body [][]string, columns int) []bool {
	dates := make([]bool, columns)
	for i := range dates {
		row := slices.IndexFunc(body, func(cells []string) bool { return i < len(cells) && cells[i] != "" })
		if row < 0 {
			continue
		}
		cell, err := excelize.CoordinatesToCellName(i+1, first+row)
		if err != nil {
			continue
		}
		id, err := f.GetCellStyle(sheet, cell)
		if err != nil {
			continue
		}
		style, err := f.GetStyle(id)
		if err != nil {
			continue
		}
		dates[i] = isDateFormat(style)
	}
	return dates
}

// notLetters is what stands in a format for itself, colours and locales.
var notLetters = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|[\\_*].`)

// isDateFormat knows the built-in formats of dates by their numbers (ECMA-376,
// 18.8.30) and others by their letters.
func isDateFormat(s *excelize.Style) bool {
	if s.CustomNumFmt != nil {
		format := strings.ToLower(notLetters.ReplaceAllString(*s.CustomNumFmt, ""))
		return strings.Contains(format, "yy") || strings.Contains(format, "d") && strings.Contains(format, "m")
	}
	return s.NumFmt >= 14 && s.NumFmt <= 17 || s.NumFmt == 22 || s.NumFmt >= 27 && s.NumFmt <= 36 || s.NumFmt >= 50 && s.NumFmt <= 58
}

// excelDate is the text of a cell with a date, as files have it; what is none
// stays. Workbooks of old Macs count days from 1904.
func excelDate(cell string, from1904 bool) string {
	days, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return cell
	}
	t, err := excelize.ExcelDateToTime(days, from1904)
	if err != nil {
		return cell
	}
	t = t.Round(time.Second)
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.DateTime)
}
