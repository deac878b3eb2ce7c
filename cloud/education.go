package cloud

import (
	"context"
	"iter"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// SchoolID is a UUID.
type SchoolID string

// A School is where users and classes belong.
type School struct {
	ID       SchoolID
	Name     string
	Number   string    `json:",omitempty"` // what the authorities call it; unique
	External string    `json:",omitempty"` // its id in another system; unique
	Ends     time.Time `json:",omitzero"`  // when it may be removed; zero: not at all
}

// A Class is a group that is taught. Its members are those of the group.
type Class struct {
	ID          GroupID
	Name        string // need not be unique: the group is called something like it
	Description string `json:",omitempty"`
	Kind        ClassKind
	External    string     `json:",omitempty"` // its id in another system; unique
	Schools     []SchoolID `json:",omitempty"` // mostly one
}

// ClassKind is a classification of the Graph API.
type ClassKind string

const (
	AClass ClassKind = "class"
	Course ClassKind = "course"
)

// An Enrolment is what schools know of a user.
type Enrolment struct {
	User       UserID
	Role       string     `json:",omitempty"` // "student", "teacher" or what else a school has; gives no rights
	External   string     `json:",omitempty"` // their id in another system; unique
	Identities []Identity `json:",omitempty"`
	Schools    []SchoolID `json:",omitempty"`
	Teaches    []GroupID  `json:",omitempty"` // classes
}

// An Identity is an account elsewhere.
type Identity struct {
	Issuer, ID string
}

// Bounds on what is kept of schools.
const (
	maxLine        = 255  // bytes of a name or a number
	maxDescription = 4000 // bytes
	maxIdentities  = 20
	maxSchools     = 100 // that a user or a class belongs to
	maxTaught      = 1000
)

// Check says what is wrong with a school.
func (s *School) Check() error {
	if err := checkTitle("school", s.Name); err != nil {
		return err
	}
	return checkLines(s.Number, s.External)
}

// Check says what is wrong with a class.
func (c *Class) Check() error {
	switch {
	case c.Kind != AClass && c.Kind != Course:
		return Refuse(Invalid, "The classification is %q or %q.", AClass, Course)
	case len(c.Description) > maxDescription || !utf8.ValidString(c.Description):
		return Refuse(Invalid, "The description of a class takes at most %d bytes.", maxDescription)
	case len(c.Schools) > maxSchools:
		return Refuse(Invalid, "A class can belong to %d schools at most.", maxSchools)
	}
	if err := checkTitle("class", c.Name); err != nil {
		return err
	}
	return checkLines(c.External)
}

// Check says what is wrong with an enrolment.
func (e *Enrolment) Check() error {
	switch {
	case len(e.Identities) > maxIdentities:
		return Refuse(Invalid, "A user can have %d identities at most.", maxIdentities)
	case len(e.Schools) > maxSchools:
		return Refuse(Invalid, "A user can belong to %d schools at most.", maxSchools)
	case len(e.Teaches) > maxTaught:
		return Refuse(Invalid, "A user can teach %d classes at most.", maxTaught)
	}
	for _, i := range e.Identities {
		if i.Issuer == "" || i.ID == "" {
			return Refuse(Invalid, "An identity needs both an issuer and an id that was assigned by it.")
		}
		if err := checkLines(i.Issuer, i.ID); err != nil {
			return err
		}
	}
	return checkLines(e.Role, e.External)
}

func checkTitle(of, name string) error {
	if name == "" || name != strings.TrimSpace(name) {
		return Refuse(Invalid, "A %s needs a display name, without a blank at either end.", of)
	}
	return checkLines(name)
}

func checkLines(lines ...string) error {
	for _, s := range lines {
		if len(s) > maxLine || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return Refuse(Invalid, "Names, numbers and ids take at most %d bytes without control characters.", maxLine)
		}
	}
	return nil
}

// Schools keeps what there is about schools. Users and groups themselves are
// a Directory's; a Schools does not ask whether they exist. Only core calls it.
//
// Ids do not come back. A school that is no more does not count where a class
// or a user names it, nor does a class where a user teaches it. What does not
// pass Check is Invalid; where something is unique, a second one is Exist. Lists
// are in the same order each time.
type Schools interface {
	// School finds one by "id", "number" or "external". NotExist if there is none.
	School(ctx context.Context, by, value string) (*School, error)
	Schools(ctx context.Context) iter.Seq2[*School, error]
	// SetSchool makes a school when s.ID is empty and changes one otherwise.
	SetSchool(ctx context.Context, s *School) (*School, error)
	RemoveSchool(ctx context.Context, id SchoolID) error

	// Class finds one by "id" or "external". NotExist if there is none.
	Class(ctx context.Context, by, value string) (*Class, error)
	// Classes yields those of a school, or all.
	Classes(ctx context.Context, of SchoolID) iter.Seq2[*Class, error]
	// SetClass makes or changes the class of a group, whose id is given.
	SetClass(ctx context.Context, c *Class) error
	// RemoveClass is no error when there is none.
	RemoveClass(ctx context.Context, id GroupID) error

	// Enrolment finds one by "id", the user's, or "external". NotExist if there is none.
	Enrolment(ctx context.Context, by, value string) (*Enrolment, error)
	// Enrolled yields the enrolments at a school, or all.
	Enrolled(ctx context.Context, at SchoolID) iter.Seq2[*Enrolment, error]
	// Teachers yields the enrolments of those who teach a class.
	Teachers(ctx context.Context, of GroupID) iter.Seq2[*Enrolment, error]
	// SetEnrolment makes or changes the enrolment of e.User.
	SetEnrolment(ctx context.Context, e *Enrolment) error
	// RemoveEnrolment is no error when there is none.
	RemoveEnrolment(ctx context.Context, of UserID) error
}

// Education is Schools and the Directory as one, with the caller's permissions
// enforced: users need ManageUsers, all else ManageGroups. For reading it takes
// one of the two, and of users there is what People tells the caller. core
// implements it; protocols use it. The caller is CallerFrom(ctx); nobody is
// Unauthorized everywhere, who lacks the permission gets Permission, and what
// is not there is NotExist.
//
// A user is removed by People.RemoveUser, and a class by People.RemoveGroup:
// what schools know of them goes along. Lists are in the same order each time.
type Education interface {
	// School finds one by "id", "number" or "external".
	School(ctx context.Context, by, value string) (*School, error)
	Schools(ctx context.Context) iter.Seq2[*School, error]
	// SetSchool makes a school when s.ID is empty and changes one otherwise.
	// Exist when the number or the external id is taken, Invalid for an end that
	// is too close.
	SetSchool(ctx context.Context, s *School) (*School, error)
	// RemoveSchool is Conflict unless the school has ended. Its users and
	// classes stay.
	RemoveSchool(ctx context.Context, id SchoolID) error

	// Class finds one by "id" or "external".
	Class(ctx context.Context, by, value string) (*Class, error)
	// Classes yields those of a school, or all.
	Classes(ctx context.Context, of SchoolID) iter.Seq2[*Class, error]
	// SetClass makes a class and its group when c.ID is empty and changes them
	// otherwise, except for Schools. Exist when the external id is taken.
	SetClass(ctx context.Context, c *Class) (*Class, error)
	// Offer makes a class one of a school, which it may be already; Withdraw is
	// NotExist when it is not.
	Offer(ctx context.Context, at SchoolID, id GroupID) error
	Withdraw(ctx context.Context, at SchoolID, id GroupID) error

	// Pupil finds one by "id", "name" or "external".
	Pupil(ctx context.Context, by, value string) (*Pupil, error)
	// Pupils yields those of a school, or all.
	Pupils(ctx context.Context, of SchoolID) iter.Seq2[*Pupil, error]
	// AddPupil is People.AddUser with an enrolment, without Schools and Teaches.
	AddPupil(ctx context.Context, p *Pupil, password string) (*Pupil, error)
	// ChangePupil is People.ChangeUser with a change of the enrolment. A user
	// who had none is enrolled by it.
	ChangePupil(ctx context.Context, id UserID, c PupilChange) (*Pupil, error)
	// Attend makes a user one of a school, which they may be already; Quit is
	// NotExist when they are not.
	Attend(ctx context.Context, at SchoolID, who UserID) error
	Quit(ctx context.Context, at SchoolID, who UserID) error

	// Members yields the users in the group of a class.
	Members(ctx context.Context, of GroupID) iter.Seq2[*Pupil, error]
	// Join puts a user into the group; Leave is NotExist when they are not in it.
	Join(ctx context.Context, class GroupID, who UserID) error
	Leave(ctx context.Context, class GroupID, who UserID) error
	// Teachers yields those who teach a class. They need
	// not be among its members.
	Teachers(ctx context.Context, of GroupID) iter.Seq2[*Pupil, error]
	// Teach makes a user a teacher of a class; Unteach is NotExist when they are not.
	Teach(ctx context.Context, class GroupID, who UserID) error
	Unteach(ctx context.Context, class GroupID, who UserID) error
}

// A Pupil is a user of schools, whether they learn or teach.
type Pupil struct {
	User      *User
	Enrolment Enrolment
}

// A PupilChange alters a Pupil. What is nil is left alone.
type PupilChange struct {
	User       UserChange
	Role       *string
	External   *string
	Identities []Identity
}
