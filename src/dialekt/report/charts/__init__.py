"""Small SVG charts: values in, inline markup out. Colours come from the page's style sheet, by class."""
