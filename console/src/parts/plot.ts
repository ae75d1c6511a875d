// The library that draws charts, loaded when the first is shown.
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export default UPlot;
