package data

import (
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// dateColumns says which columns are formatted as dates, by the first row
// below the names: a workbook stores a date as a number.
func dateColumns(f *excelize.File, sheet string, row, columns int) []bool {
	dates := make([]bool, columns)
	for i := range dates {
		cell, err := excelize.CoordinatesToCellName(i+1, row)
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

// isDateFormat knows the built-in formats of dates by their numbers (ECMA-376,
// 18.8.30) and others by their letters.
func isDateFormat(s *excelize.Style) bool {
	if s.CustomNumFmt != nil {
		format := strings.ToLower(*s.CustomNumFmt)
		return strings.Contains(format, "yy") || strings.Contains(format, "d") && strings.Contains(format, "m")
	}
	return s.NumFmt >= 14 && s.NumFmt <= 17 || s.NumFmt == 22 || s.NumFmt >= 27 && s.NumFmt <= 36 || s.NumFmt >= 50 && s.NumFmt <= 58
}

// excelDate is the text of a cell with a date, as files have it; what is none
// stays.
func excelDate(cell string) string {
	days, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return cell
	}
	t, err := excelize.ExcelDateToTime(days, false)
	if err != nil {
		return cell
	}
	t = t.Round(time.Second)
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.DateTime)
}
