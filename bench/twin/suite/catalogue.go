package suite

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
)

// services are the modules of the catalogue, with four kinds of records each.
// People own records: customers those of the first eight, employees the rest.
var services = []struct {
	name, about string
	kinds       []string
}{
	{"crm", "customers and what we agreed with them", []string{"customer", "lead", "meeting", "agreement"}},
	{"billing", "invoices and payments", []string{"invoice", "payment", "reminder", "credit_note"}},
	{"sales", "orders and offers", []string{"order", "offer", "discount", "return"}},
	{"shipping", "parcels and how they travel", []string{"parcel", "pickup", "customs_form", "delivery"}},
	{"helpdesk", "tickets of customers", []string{"ticket", "complaint", "callback", "survey"}},
	{"marketing", "campaigns and who gets them", []string{"campaign", "newsletter", "coupon", "referral"}},
	{"subscriptions", "plans that customers pay for regularly", []string{"plan", "renewal", "trial", "cancellation"}},
	{"legal", "contracts and claims of customers", []string{"contract", "claim", "consent", "deadline"}},
	{"hr", "employees and their time", []string{"employee", "absence", "appraisal", "position"}},
	{"payroll", "salaries and bonuses", []string{"payslip", "bonus", "pension", "deduction"}},
	{"travel", "journeys of employees and their costs", []string{"journey", "expense", "hotel_stay", "advance"}},
	{"training", "courses and certificates", []string{"course", "certificate", "exam", "mentoring"}},
	{"facilities", "rooms, keys and desks", []string{"room_booking", "key_card", "desk", "repair_request"}},
	{"it_assets", "devices and licences", []string{"laptop", "phone", "licence", "loaner"}},
	{"security", "access and incidents", []string{"access_right", "incident", "audit", "visitor"}},
	{"projects", "projects and their hours", []string{"project", "timesheet", "milestone", "risk"}},
}

// entry is a record of the catalogue, as functions return it.
type entry struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Group  string  `json:"group" jsonschema:"country of customers, department of employees, kind of others"`
	Owner  string  `json:"owner" jsonschema:"id of a customer or an employee"`
	Status string  `json:"status"`
	Amount float64 `json:"amount" jsonschema:"EUR"`
	Day    string  `json:"day"`

	cents int
}

type event struct {
	Day  string `json:"day"`
	What string `json:"what"`
}

// registry are the records by kind.
type registry map[string][]entry

const (
	perKind = 60
	onPage  = 20
)

// groupsOf and statesOf are what records of a kind are like.
var (
	groupsOf = map[string][]string{"customer": {"Austria", "Chile", "Japan", "Kenya"}, "employee": {"Design", "Finance", "Research", "Support"}}
	statesOf = []string{"open", "done", "late", "void"}
)

// records generates the registry.
func records(seed uint64) registry {
	d := draw{rand.New(rand.NewPCG(seed, 500))}
	all := registry{}
	for s, service := range services {
		for k, kind := range service.kinds {
			prefix := strings.ToUpper(kind[:3])
			if k > 0 {
				prefix = fmt.Sprintf("%s%d", prefix, s)
			}
			for i := range perKind {
				e := entry{ID: fmt.Sprintf("%s-%03d", prefix, i), Name: fmt.Sprintf("%s %d", strings.ReplaceAll(kind, "_", " "), i), Status: d.one(statesOf...),
					Group: d.one("standard", "special"), cents: d.between(100, 500000), Day: d.date().Format(time.DateOnly), Owner: fmt.Sprintf("CUS-%03d", d.IntN(perKind))}
				if s >= 8 {
					e.Owner = fmt.Sprintf("EMP-%03d", d.IntN(perKind))
				}
				if groups := groupsOf[kind]; groups != nil {
					e.Name, e.Group, e.Owner = person(i*7+s), d.one(groups...), ""
				}
				e.Amount = float64(e.cents) / 100
				all[kind] = append(all[kind], e)
			}
		}
	}
	return all
}

// Catalogue is n functions in 16 services, at most 512.
func Catalogue(seed uint64, n int) []codeagent.Toolkit {
	all := records(seed)
	kits := make([]codeagent.Toolkit, len(services))
	for round := range 32 { // one function of each service after the other
		for s, service := range services {
			if n == 0 {
				return slices.DeleteFunc(kits, func(k codeagent.Toolkit) bool { return len(k.Functions) == 0 })
			}
			n--
			kind := service.kinds[round%4]
			kits[s].Name, kits[s].Description = service.name, strings.ToUpper(service.about[:1])+service.about[1:]+"."
			kits[s].Functions = append(kits[s].Functions, function(round/4, kind, all[kind]))
		}
	}
	return kits
}

type (
	idInput struct {
		ID string `json:"id"`
	}
	ownerInput struct {
		Owner string `json:"owner" jsonschema:"id of a customer or an employee"`
	}
	textInput struct {
		Text string `json:"text" jsonschema:"part of the name"`
	}
	pageInput struct {
		Page int `json:"page,omitempty" jsonschema:"from 1; 20 are on a page" default:"1"`
	}
	stateInput struct {
		Status string `json:"status" enum:"open,done,late,void"`
	}
)

// function is the i-th function of a kind.
func function(i int, kind string, list []entry) strands.Tool {
	word, many := strings.ReplaceAll(kind, "_", " "), kind+"s"
	if strings.HasSuffix(kind, "s") {
		many = kind + "es"
	}
	one := func(id string) (entry, error) {
		for _, e := range list {
			if e.ID == id {
				return e, nil
			}
		}
		return entry{}, fmt.Errorf("there is no %s %q; ids look like %s", word, id, list[0].ID)
	}
	some := func(keep func(entry) bool) []entry {
		return slices.DeleteFunc(slices.Clone(list), func(e entry) bool { return !keep(e) })
	}
	switch i {
	case 0:
		return strands.NewTool("list_"+many, "Lists records of kind "+word+", 20 on a page; a page behind the last is empty.", func(_ context.Context, in pageInput) ([]entry, error) {
			from := min(max(in.Page-1, 0)*onPage, len(list))
			return list[from:min(from+onPage, len(list))], nil
		})
	case 1:
		return strands.NewTool("get_"+kind, "Returns one "+word+".", func(_ context.Context, in idInput) (entry, error) { return one(in.ID) })
	case 2:
		return strands.NewTool("find_"+many+"_of", "Finds every "+word+" of a customer or an employee.", func(_ context.Context, in ownerInput) ([]entry, error) {
			return some(func(e entry) bool { return e.Owner == in.Owner }), nil
		})
	case 3:
		return strands.NewTool("search_"+many, "Finds every "+word+" with a text in its name.", func(_ context.Context, in textInput) ([]entry, error) {
			return some(func(e entry) bool { return strings.Contains(strings.ToLower(e.Name), strings.ToLower(in.Text)) }), nil
		})
	case 4:
		return strands.NewTool("count_"+many, "Counts records of kind "+word+" in a state.", func(_ context.Context, in stateInput) (int, error) {
			return len(some(func(e entry) bool { return e.Status == in.Status })), nil
		})
	case 5:
		return strands.NewTool(kind+"_amount", "The amount of one "+word+", in EUR.", func(_ context.Context, in idInput) (float64, error) {
			e, err := one(in.ID)
			return e.Amount, err
		})
	case 6:
		return strands.NewTool(kind+"_status", "The state of one "+word+".", func(_ context.Context, in idInput) (string, error) {
			e, err := one(in.ID)
			return e.Status, err
		})
	}
	return strands.NewTool(kind+"_history", "What happened to one "+word+", in order.", func(_ context.Context, in idInput) ([]event, error) {
		e, err := one(in.ID)
		return []event{{e.Day, "made"}, {e.Day, "set to " + e.Status}}, err
	})
}

func openCatalogue(o Options) (*Suite, error) {
	set := &Set{Name: "catalogue", Toolkits: Catalogue(o.Seed, cmp.Or(o.Functions, 500))}
	for _, t := range records(o.Seed).tasks() {
		t.ID, t.Set = "catalogue/"+t.ID, set.Name
		if o.Want == nil || o.Want(t.ID) {
			set.Tasks = append(set.Tasks, t)
		}
	}
	return &Suite{Name: "catalogue", Sets: []*Set{set}}, nil
}
